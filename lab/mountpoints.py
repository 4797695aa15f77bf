"""The directories under which the lab mounts its own, and the marker by which its processes are known.

Owns: creating the directories that a machine without libvirt lacks, and removing them with the last lab that uses them.
Removing a directory on which another mount namespace has mounted something would silently unmount it there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from lab import checkout

PRIVATE = ("/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/etc/libvirt")
# Lies in the private /run/libvirt: the lab's identity, then the directories that labs created, one a line.
_MARKER = "run/libvirt/okd-libvirt-lab"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one lab of this machine create or remove directories at a time."""
    descriptor = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create() -> None:
    """Create what is missing, and record that together with what other living labs created."""
    checkout.HYPERVISOR.mkdir(parents=True, exist_ok=True)
    missing = {path for path in PRIVATE if not Path(path).exists()}
    created = missing.union(_recorded(), *_others())
    _record().write_text("".join(f"{path}\n" for path in sorted(created)))
    for path in missing:
        Path(path).mkdir(parents=True)


def remove() -> None:
    """Remove what labs created, unless another lab lives: that one has it on record as well."""
    if _others():
        return
    for path in _recorded():
        with contextlib.suppress(OSError):
            Path(path).rmdir()


def mark() -> None:
    """Make every process in this mount namespace known as the lab's; called inside it, with its mounts made."""
    Path("/", _MARKER).write_text("\n".join([checkout.lab_id(), *_recorded()]))


def owner(pid: int) -> str | None:
    """Return the identity of the lab whose mount namespace the process is in; None for any other process."""
    lines = _marker(pid)
    return lines[0] if lines else None


def _marker(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/root/{_MARKER}").read_text().splitlines()
    except OSError:
        return []


def _record() -> Path:
    return checkout.HYPERVISOR / "created-mountpoints"


def _recorded() -> list[str]:
    return [line for line in _record().read_text().splitlines() if line in PRIVATE] if _record().exists() else []


def _others() -> list[list[str]]:
    """What each process of another lab has on record."""
    markers = [_marker(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [lines[1:] for lines in markers if lines and lines[0] != checkout.lab_id()]
