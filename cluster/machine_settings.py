"""The machines of the cluster, their pools, and what they boot.

Owns the shape and defaults of the sections `pools`, `machines` and `bootImage`. Does not own the merge of a machine's
settings with its pool's (machines.py), nor relations between values (machine_checks.py, release_checks.py).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from cluster.node_values import LabelKey, LabelValue, Taint
from cluster.places import Url
from cluster.section import Section
from cluster.values import (
    UNSET,
    Address,
    Count,
    Disk,
    KernelArgument,
    Mac,
    Memory,
    Sha256,
    Switch,
)

Role = Literal["bootstrap", "control-plane", "compute"]


class Pool(Section):
    """Machines of one kind: their role, their sizes, and what their nodes are labelled and tainted with."""

    role: Role = "compute"
    """What its machines are in the cluster. Infra and storage machines are compute machines of pools of their own, and
    their nodes have the role node-role.kubernetes.io/<pool> beside `worker`."""
    cpus: Count = 4
    """Processors of each machine. OKD wants 4 for bootstrap and control plane, 2 for compute, 8 for a single node."""
    memory_mib: Memory = 16384
    """Memory of each machine in MiB. OKD wants 16384 for bootstrap and control plane, 8192 for compute."""
    disk_gib: Disk = 120
    """Root disk of each machine in GiB. OKD wants 94 (100 GB), and 112 (120 GB) for a single node."""
    extra_disks_gib: tuple[Disk, ...] = ()
    """Further disks of each machine in GiB, empty and unformatted, e.g. for storage."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of its machines' nodes, beside their role; one that is taken out here goes from the nodes as well."""
    taints: tuple[Taint, ...] = ()
    """Taints of its machines' nodes, as Kubernetes has them; the ingress tolerates those of its pool."""


class Machine(Section):
    """One machine; what is not said here comes from its pool."""

    pool: str | None = None
    """The pool it is in. Default: its name without the number at its end, compute for compute-1"""
    address: Address = UNSET
    """Its address on the cluster network, nobody else's."""
    mac: Mac | None = None
    """The MAC of its network card, in quotes. Default: derived from the names of stack and machine"""
    cpus: Count | None = None
    """Its processors. Default: its pool's"""
    memory_mib: Memory | None = None
    """Its memory in MiB. Default: its pool's"""
    disk_gib: Disk | None = None
    """Its root disk in GiB. Default: its pool's"""
    extra_disks_gib: tuple[Disk, ...] | None = None
    """Its further disks in GiB. Default: its pool's"""
    kernel_arguments: tuple[KernelArgument, ...] = ()
    """Kernel arguments of its installation, after those of the boot image. Addresses, disks and ignition configs are
    given by the program. Its consoles are those of the installed machine as well."""


class BootFile(Section):
    """One file of the boot image; without a SHA-256 the `SHA256SUMS` beside it counts."""

    location: Url
    """http(s) URL that the services host can download from, without a login in it (release.pullSecret may hold one)."""
    sha256: Sha256 | None = None
    """The file's SHA-256. Default: what the SHA256SUMS beside it says"""


class BootImage(Section):
    """What machines boot from the network; without files, the image that the release's installer names.

    `reportsBack` when it answers the kernel argument okd.report=<url>.
    """

    kernel: BootFile | None = None
    """The live kernel. Default: the one that the release's installer names"""
    initramfs: BootFile | None = None
    """The live initramfs. Default: the one that the release's installer names"""
    rootfs: BootFile | None = None
    """The live rootfs, if the initramfs does not hold it. Default: the one that the release's installer names"""
    kernel_arguments: tuple[KernelArgument, ...] = ()
    """Kernel arguments of every machine's installation. A console= among them takes the place of console=tty0
    console=ttyS0,115200n8, which machines print on otherwise, also once they are installed."""
    reports_back: Switch = False
    """Whether the image answers the kernel argument okd.report=<url>, as the lab's does: boots are then checked."""


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
