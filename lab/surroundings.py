"""What the machine must be for the lab: its processor, operating system, memory, disk, and who the user is.

Owns: the limits, and looking. Does not own: what is installed on Debian (lab/toolchain/packages.py), which can be put
right by itself. Standard library only.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from lab import checkout, hypervisor
from lab.obstacles import Obstacle
from lab.progress import say

_GIB = 1 << 30
# The dev stack's guests are promised 5 GiB; the largest program that is built takes three.
_MEMORY, _COMFORTABLE_MEMORY = 4 * _GIB, 7.5 * _GIB
# What the dev stack writes; what the first run downloads, builds and caches.
_FOR_STACK, _FOR_BUILDS = 3 * _GIB, 10 * _GIB
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Beside those of the hypervisor: what makes its images and serves them.
_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "grub-mkimage": "grub-common",
    "cpio": "cpio",
    "zstd": "zstd",
    "gpg": "gnupg",
    "docker-registry": "docker-registry",
}


def obstacles() -> list[Obstacle]:
    """Everything about this machine that the lab cannot work with; what it can just work with is said."""
    return [*_processor(), *_operating_system(), *_memory(), *_disk()]


def _processor() -> list[Obstacle]:
    found = platform.machine()
    if found == "x86_64":
        return []
    return [
        Obstacle(
            f"this machine's processor is {found}",
            "the lab's images are made of this machine's own packages and programs, for x86_64",
            "use an x86_64 machine; `pulumi` itself drives a libvirt host from any (README.md, 'Real hardware')",
        )
    ]


def _operating_system() -> list[Obstacle]:
    """On Debian and its kin what is missing gets installed; elsewhere it has to be there."""
    if shutil.which("apt-get"):
        return []
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    wanted = {**hypervisor.NEEDS, **_TOOLS}
    missing = [name for name in wanted if not shutil.which(name, path=path)]
    if not missing:
        return []
    return [
        Obstacle(
            f"this is {_release()}, not Debian, and it has no {', '.join(missing)}",
            "the lab installs its tools with apt-get, and has been proved on Debian 12 only",
            "use Debian 12 (a virtual machine or a privileged container will do), or install what holds these; in "
            f"Debian: {' '.join(sorted({wanted[name] for name in missing}))}",
        )
    ]


def _release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "an unknown system")
    except OSError:
        return "an unknown system"


def _memory() -> list[Obstacle]:
    there = memory()
    if there >= _COMFORTABLE_MEMORY:
        return []
    told = f"{there / _GIB:.1f} GiB of memory"
    if there >= _MEMORY:
        say(f"note: {told} here, and 8 GiB is what the dev stack is used to: a build or a machine may be killed for it")
        return []
    return [
        Obstacle(
            f"this machine has {told}" if not _limit() else f"this container may use {told}",
            "the lab's machines would be killed one after the other",
            "use a machine with 8 GiB",
        )
    ]


def memory() -> int:
    """The bytes that this machine or the container that it is may use."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(total, _limit() or total)


def _limit() -> int | None:
    for path in map(Path, _MEMORY_LIMITS):
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            return int(text)
    return None


def _disk() -> list[Obstacle]:
    """Ask for the room of what is still missing: a stack that stands, and builds in the cache, need no more."""
    wanted: dict[Path, int] = {}
    if not checkout.HYPERVISOR.exists():
        wanted[checkout.LAB] = _FOR_STACK
    if not any(checkout.cache("release", "").glob("*")):
        wanted[checkout.cache("", "")] = _FOR_BUILDS
    return [*_room(wanted)]


def _room(wanted: dict[Path, int]) -> Iterable[Obstacle]:
    by_device: dict[int, list[Path]] = defaultdict(list)
    for path in wanted:
        by_device[nearest(path).stat().st_dev].append(path)
    for places in by_device.values():
        need, free = sum(wanted[place] for place in places), shutil.disk_usage(nearest(places[0])).free
        if free < need:
            yield Obstacle(
                f"{free / _GIB:.1f} GiB free for {' and '.join(map(str, places))}",
                f"a first run writes at least {need / _GIB:.0f} GiB there, and comfortably twice that",
                "free some space, clone to a larger file system, or set XDG_CACHE_HOME, GOCACHE and GOMODCACHE to "
                "directories on one",
            )


def nearest(path: Path) -> Path:
    """The path itself, or the nearest directory above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())
