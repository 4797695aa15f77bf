"""The one table of machines: everything that serves or makes a machine derives from its row.

Owns the merge of a machine's own settings with its pool's, and the table's order: by role, then by name with numbers
in numeric order. Does not own validation: settings are checked before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from cluster.names import derived_mac
from cluster.settings import Role, Settings

ROLES: tuple[Role, ...] = ("bootstrap", "control-plane", "compute")
# OpenShift's own file names for what the roles boot with.
IGNITION = {"bootstrap": "bootstrap.ign", "control-plane": "master.ign", "compute": "worker.ign"}


@dataclass(frozen=True)
class Machine:
    """One machine of the cluster; memory in MiB, disks in GiB, MAC in lower case with colons."""

    name: str
    pool: str
    role: Role
    mac: str
    address: IPv4Address
    fqdn: str
    cpus: int
    memory_mib: int
    disk_gib: int
    extra_disks_gib: tuple[int, ...]
    kernel_arguments: tuple[str, ...] = ()

    @property
    def disks(self) -> dict[str, int]:
        """Sizes in GiB by the kind that its volumes are named with, in disk order (vda, vdb, …)."""
        return {"root": self.disk_gib} | {f"data-{index}": size for index, size in enumerate(self.extra_disks_gib)}

    @property
    def mac_hyphens(self) -> str:
        """The MAC as PXELINUX and iPXE write it in file names."""
        return self.mac.replace(":", "-")

    @property
    def ignition(self) -> str:
        """The file name of its ignition config."""
        return IGNITION[self.role]

    def output(self) -> dict[str, Any]:
        """The row as a stack output shows it."""
        return {
            "name": self.name,
            "role": self.role,
            "pool": self.pool,
            "mac": self.mac,
            "address": str(self.address),
            "fqdn": self.fqdn,
            "cpus": self.cpus,
            "memoryMiB": self.memory_mib,
            "diskGiB": self.disk_gib,
            "extraDisksGiB": list(self.extra_disks_gib),
        }


def table(settings: Settings) -> tuple[Machine, ...]:
    """All machines of validated settings."""
    domain = f"{settings.cluster.name}.{settings.cluster.base_domain}"
    rows = []
    for name, own in settings.machines.items():
        pool_name = str(own.pool)
        pool = settings.pools[pool_name]
        rows.append(
            Machine(
                name=name,
                pool=pool_name,
                role=pool.role,
                mac=own.mac or derived_mac(settings.stack, name),
                address=own.address,
                fqdn=f"{name}.{domain}",
                cpus=own.cpus or pool.cpus,
                memory_mib=own.memory_mib or pool.memory_mib,
                disk_gib=own.disk_gib or pool.disk_gib,
                extra_disks_gib=pool.extra_disks_gib if own.extra_disks_gib is None else own.extra_disks_gib,
                kernel_arguments=own.kernel_arguments,
            )
        )
    return tuple(sorted(rows, key=lambda row: (ROLES.index(row.role), natural(row.name))))


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A sort key that puts compute-2 before compute-10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)
