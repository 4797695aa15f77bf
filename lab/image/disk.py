"""A disk that starts by itself under BIOS, made from a directory tree without a loop device.

Layout in sectors of 512 bytes: 0 boot code and partition table, 1… GRUB's core image, 2048… one ext4 partition.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from lab.progress import StepFailed, run

LABEL = "services"
_SECTOR = 512
_FIRST = 2048
_TABLE = 446
_GRUB = Path("/usr/lib/grub/i386-pc")
_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "configfile", "linux", "boot", "echo", "test")
_UUID = "6f6b642d-6c69-4276-8972-742d6c616221"


def make(tree: Path, image: Path, size_mib: int, log: Path) -> None:
    """Write the qcow2 image of a disk of `size_mib` that holds `tree`. Raises StepFailed."""
    raw = image.with_suffix(".raw")
    with raw.open("wb") as handle:
        handle.truncate(size_mib * 1024 * 1024)
    blocks = (size_mib - 1) * 256
    mke2fs: list[str | Path] = [
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-m",
        "1",
        "-L",
        LABEL,
        "-U",
        _UUID,
        "-d",
        tree,
    ]
    options = f"offset={_FIRST * _SECTOR},hash_seed={_UUID},lazy_itable_init=1,lazy_journal_init=1"
    run([*mke2fs, "-E", options, raw, str(blocks)], step="making the file system", log=log, append=True)
    _boot_loader(raw, log)
    # Compressed it is a third of the size: quicker to hash and to upload than it is slower to read.
    convert: list[str | Path] = [
        "qemu-img",
        "convert",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-c",
        "-o",
        "compression_type=zstd",
        raw,
        image,
    ]
    run(convert, step="writing the disk image", log=log, append=True)
    raw.unlink()


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
