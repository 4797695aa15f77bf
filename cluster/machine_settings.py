"""The machines of the cluster, their pools, and what they boot.

Owns the shape and defaults of the sections `pools`, `machines` and `bootImage`. Does not own the merge of a machine's
settings with its pool's (machines.py), nor relations between values (machine_checks.py, release_checks.py).
"""

from __future__ import annotations

from typing import Any, Literal

from cluster.section import Section
from cluster.values import UNSET, Address, Count, Disk, KernelArgument, Mac, Memory, Sha256, Switch, Url

Role = Literal["bootstrap", "control-plane", "compute"]


class Pool(Section):
    """Machines of one kind: their role and sizes."""

    role: Role = "compute"
    cpus: Count = 4
    memory_mib: Memory = 16384
    disk_gib: Disk = 120
    extra_disks_gib: tuple[Disk, ...] = ()


class Machine(Section):
    """One machine; what is not said here comes from its pool."""

    pool: str | None = None
    address: Address = UNSET
    mac: Mac | None = None
    cpus: Count | None = None
    memory_mib: Memory | None = None
    disk_gib: Disk | None = None
    extra_disks_gib: tuple[Disk, ...] | None = None
    kernel_arguments: tuple[KernelArgument, ...] = ()


class BootFile(Section):
    """One file of the boot image; without a SHA-256 the `SHA256SUMS` beside it counts."""

    location: Url
    sha256: Sha256 | None = None


class BootImage(Section):
    """What machines boot from the network; without files, the image that the release's installer names.

    `reportsBack` when it answers the kernel argument okd.report=<url>.
    """

    kernel: BootFile | None = None
    initramfs: BootFile | None = None
    rootfs: BootFile | None = None
    kernel_arguments: tuple[KernelArgument, ...] = ()
    reports_back: Switch = False


DEFAULT_POOLS: dict[str, dict[str, Any]] = {
    "bootstrap": {"role": "bootstrap"},
    "control-plane": {"role": "control-plane"},
    "compute": {"role": "compute", "memoryMiB": 8192},
    "infra": {"role": "compute"},
    "storage": {"role": "compute", "extraDisksGiB": [500]},
}


def default_pool(machine: str) -> str:
    """The pool a machine is in by its name: the name without its trailing number."""
    stem, hyphen, number = machine.rpartition("-")
    return stem if hyphen and number.isdigit() else machine
