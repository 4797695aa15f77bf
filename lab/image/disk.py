"""Disks that start by themselves under BIOS, made without a loop device.

Layout in sectors of 512 bytes: 0 boot code and partition table, 1… GRUB's core image, 2048… one ext4 partition.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.progress import StepFailed, run

_SECTOR = 512
_FIRST = 2048
OFFSET = _FIRST * _SECTOR
_TABLE = 446
_GRUB = Path("/usr/lib/grub/i386-pc")
_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "configfile", "linux", "boot", "echo", "test")


@dataclass(frozen=True)
class FileSystem:
    """The one partition's file system; `options` are further words for mke2fs."""

    label: str
    uuid: str
    size_mib: int
    options: tuple[str | Path, ...] = ()


SERVICES = FileSystem("services", "6f6b642d-6c69-4276-8972-742d6c616221", 4096)


def make(tree: Path, image: Path, log: Path) -> None:
    """Write the qcow2 image of the services host's disk, which holds `tree`. Raises StepFailed."""
    raw = image.with_suffix(".raw")
    make_raw(raw, SERVICES, log, "-d", tree)
    # Compressed it is a third of the size: quicker to hash and to upload than it is slower to read.
    convert: list[str | Path] = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c"]
    run([*convert, "-o", "compression_type=zstd", raw, image], step="writing the disk image", log=log, append=True)
    raw.unlink()


def make_raw(
    raw: Path, system: FileSystem, log: Path, *words: str | Path, env: Mapping[str, str] | None = None
) -> None:
    """Write the sparse image of a disk with a boot loader and the file system; `words` and `env` are for mke2fs."""
    with raw.open("wb") as handle:
        handle.truncate(system.size_mib * 1024 * 1024)
    blocks = (system.size_mib - 1) * 256
    options = f"offset={OFFSET},hash_seed={system.uuid},lazy_itable_init=1,lazy_journal_init=1"
    mke2fs: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "1", "-L", system.label]
    mke2fs += ["-U", system.uuid, *system.options, *words, "-E", options, raw, str(blocks)]
    run(mke2fs, step="making the file system", log=log, append=True, env=env)
    _boot_loader(raw, log)


def _boot_loader(raw: Path, log: Path) -> None:
    if not _GRUB.is_dir():
        raise StepFailed(f"{_GRUB} is missing", remedy="apt-get install grub-pc-bin")
    core = raw.with_suffix(".core")
    grub: list[str | Path] = ["grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core, *_MODULES]
    run(grub, log=log, append=True)
    boot, content = (_GRUB / "boot.img").read_bytes(), core.read_bytes()
    if len(content) > (_FIRST - 1) * _SECTOR:
        raise StepFailed("GRUB's core image is larger than the gap before the first partition")
    descriptor = os.open(raw, os.O_RDWR)
    try:
        os.pwrite(descriptor, boot[:_TABLE] + _partition_table(raw.stat().st_size // _SECTOR), 0)
        os.pwrite(descriptor, content, _SECTOR)
    finally:
        os.close(descriptor)
    core.unlink()


def _partition_table(sectors: int) -> bytes:
    """Return one active Linux partition over the rest of the disk; addresses by sector number only."""
    beyond = b"\xfe\xff\xff"
    entry = b"\x80" + beyond + b"\x83" + beyond + struct.pack("<II", _FIRST, sectors - _FIRST)
    return entry + bytes(48) + b"\x55\xaa"
