"""The lab's images: the services host's disk, and the kernel and initramfs that machines boot from the network.

Owns: when an image is built and where it is kept (cached by the hash of its inputs, linked below .lab/images). Does not
own: their content (rootfs.py and disk.py; parts.py, boot.py and machine_disk.py). Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lab import checkout, node
from lab.cached import cached
from lab.image import boot, disk, machine_disk, parts, rootfs
from lab.progress import StepFailed

SERVICES_IMAGE = "services-debian-12.qcow2"
BOOT_FILES = ("kernel", "initramfs", "rootfs")
_HERE = Path(__file__).parent


def build() -> Path:
    """Make what is missing, link it below .lab/images, and return the services host's image there."""
    services = _cached("image", _digest(_services_inputs(), *rootfs.packages()), _services)
    network = _boot_image(services)
    _publish(checkout.IMAGES, services, (SERVICES_IMAGE,))
    _publish(checkout.IMAGES / "boot", network, BOOT_FILES)
    return checkout.IMAGES / SERVICES_IMAGE


def _boot_image(services: Path) -> Path:
    """Return the directory with the files of BOOT_FILES, made from parts of the services host's image."""
    program = node.build()

    def make(to: Path, log: Path) -> None:
        with tempfile.TemporaryDirectory(dir=to.parent) as directory:
            taken = Path(directory)
            parts.take(services / SERVICES_IMAGE, taken, log)
            boot.make(taken, to)
            machine_disk.make(taken, to, program, boot.SCRIPTS, to, log)

    return _cached("boot", _digest([*boot.inputs(), *machine_disk.inputs()], services.name, program.parent.name), make)


def _publish(directory: Path, source: Path, names: Iterable[str]) -> None:
    """Link files of the cache into a directory, with a SHA256SUMS beside them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        _link(directory / name, source / name)
    sums = "".join(f"{(source / f'{name}.sha256').read_text()}  {name}\n" for name in names)
    (directory / "SHA256SUMS").write_text(sums)


def _services_inputs() -> list[Path]:
    return [_HERE / "rootfs.py", _HERE / "disk.py", *rootfs.OVERLAY.rglob("*")]


def _services(to: Path, log: Path) -> None:
    if os.geteuid() != 0:
        raise StepFailed("installing Debian into a directory takes root", remedy="run the same command with sudo -E")
    if missing := [tool for tool in ("mmdebstrap", "mke2fs", "qemu-img", "grub-mkimage") if not shutil.which(tool)]:
        packages = "mmdebstrap e2fsprogs qemu-utils grub-common grub-pc-bin"
        raise StepFailed(f"not installed: {', '.join(missing)}", remedy=f"apt-get install {packages}")
    tree = to / "tree"
    rootfs.make(tree, log)
    disk.make(tree, to / SERVICES_IMAGE, log)
    shutil.rmtree(tree)


def _cached(thing: str, key: str, make: Callable[[Path, Path], None]) -> Path:
    """Return the cached directory of `thing`, with a `.sha256` beside each of its files."""

    def fill(work: Path) -> None:
        make(work, checkout.LOGS / f"{thing}.log")
        for path in [path for path in work.iterdir() if path.is_file()]:
            with path.open("rb") as handle:
                (work / f"{path.name}.sha256").write_text(hashlib.file_digest(handle, "sha256").hexdigest())

    return cached(checkout.cache(thing, key), f"lab's {thing}", fill)


def _digest(inputs: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256("\n".join(words).encode())
    for path in sorted(path for path in inputs if path.is_file()):
        digest.update(f"{path.relative_to(_HERE)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _link(link: Path, target: Path) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)
