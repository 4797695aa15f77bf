"""Sizes below what OKD needs, of machines, services host and registry volume.

Owns the smallest sizes and the harm of smaller ones. Does not own what becomes of them (checks.minimumSizes) nor what
the libvirt host can give (preflight.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.settings_problems import Problem

if TYPE_CHECKING:
    from cluster.machine_settings import Role
    from cluster.settings import Settings


@dataclass(frozen=True)
class Sizes:
    """The smallest sizes that work."""

    cpus: int
    memory_mib: int
    disk_gib: int


# OKD's own; its documentation counts disks in GB: 100 GB are 94 GiB, and 120 GB are 112.
SMALLEST: dict[Role, Sizes] = {
    "bootstrap": Sizes(4, 16384, 94),
    "control-plane": Sizes(4, 16384, 94),
    "compute": Sizes(2, 8192, 94),
}
SINGLE_NODE = Sizes(8, 16384, 112)
# The services host's daemons and the mirroring; a release takes about 20 GiB of the registry's volume.
SERVICES = Sizes(1, 2048, 10)
REGISTRY_GIB = 30
KEYS = {"cpus": "cpus", "memory_mib": "memoryMiB", "disk_gib": "diskGiB"}
HARMS = {
    "cpus": "the installation would take so long that it is given up",
    "memory_mib": "the machine would run out of memory while the cluster is installed",
    "disk_gib": "the disk would fill up with images, and the node would evict its pods",
}


def check(settings: Settings, *, roles_sure: bool) -> Iterator[Problem]:
    """Every size that is too small, a pool's once for all of its machines; machines only if their roles are sure."""
    if roles_sure:
        yield from _machines(settings)
    services = settings.services
    for field, harm in (
        ("cpus", "the services host would be too slow for its daemons"),
        ("memory_mib", "the services host would run out of memory while it mirrors the release"),
        ("disk_gib", "the services host's disk would fill up with boot images, tools and logs"),
    ):
        yield from _small(f"services.{KEYS[field]}", getattr(services, field), getattr(SERVICES, field), harm)
    harm = "the release's images would not fit, and mirroring would stop half-way"
    yield from _small("services.registryGiB", services.registry_gib, REGISTRY_GIB, harm)


def _machines(settings: Settings) -> Iterator[Problem]:
    pools = {name: settings.pools.get(str(machine.pool)) for name, machine in settings.machines.items()}
    nodes = [pool.role if pool else "unknown" for pool in pools.values() if pool is None or pool.role != "bootstrap"]
    reported: set[str] = set()
    for name, machine in settings.machines.items():
        pool = pools[name]
        if pool is None:
            continue
        role = pool.role
        single = nodes == ["control-plane"] and role == "control-plane"
        for field, key in KEYS.items():
            own = getattr(machine, field)
            setting = f"machines.{name}.{key}" if own is not None else f"pools.{machine.pool}.{key}"
            if setting in reported:
                continue
            reported.add(setting)
            who = "the only node" if single else role
            smallest = getattr(SINGLE_NODE if single else SMALLEST[role], field)
            value = getattr(pool, field) if own is None else own
            yield from _small(setting, value, smallest, f"too little for {who}: {HARMS[field]}")


def _small(setting: str, value: int, smallest: int, harm: str) -> Iterator[Problem]:
    if value < smallest:
        fix = f"give {smallest} or more, or set checks.minimumSizes to warn"
        yield Problem(setting, str(value), harm, fix)
