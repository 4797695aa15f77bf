"""What a stack takes of its libvirt host: every domain and volume by name, and the memory of those that run together.

Owns names and sizes as the components make them (a test compares the two). Does not own whether there is room for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.machines import Machine
from cluster.plan import Plan

SEED, ROOT, REGISTRY = "seed.iso", "root", "registry"


@dataclass(frozen=True)
class DomainSize:
    """One domain; `machine` is its name in the settings."""

    machine: str
    cpus: int
    memory_mib: int


def machines(plan: Plan) -> tuple[Machine, ...]:
    """The machines that this update declares."""
    return (*plan.bootstrap_machines, *plan.members)


def domains(plan: Plan) -> dict[str, DomainSize]:
    """Every domain by libvirt's name."""
    services, names = plan.settings.services, plan.names
    return {names.domain(services.name): DomainSize(services.name, services.cpus, services.memory_mib)} | {
        names.domain(one.name): DomainSize(one.name, one.cpus, one.memory_mib) for one in machines(plan)
    }


def volumes(plan: Plan) -> dict[str, int]:
    """Every volume's virtual size in GiB by libvirt's name, but for the base image, whose name tells its content."""
    services, names = plan.settings.services, plan.names
    sizes = {
        names.volume(services.name, SEED): 0,
        names.volume(services.name, ROOT): services.disk_gib,
        registry_volume(plan): services.registry_gib,
    }
    for one in machines(plan):
        sizes |= {names.volume(one.name, kind): size for kind, size in one.disks.items()}
    return sizes


def base_volume(plan: Plan, digest: str) -> str:
    """The volume of the services host's image, named by its SHA-256: the provider notices no change behind a path."""
    return plan.names.volume(plan.settings.services.name, f"base-{digest[:12]}")


def registry_volume(plan: Plan) -> str:
    """The volume of the registry's blobs."""
    return plan.names.volume(plan.settings.services.name, REGISTRY)


def memory_mib(plan: Plan) -> int:
    """The most that runs at once: the bootstrap machine is off before the first compute machine is made."""

    def together(rows: tuple[Machine, ...]) -> int:
        return sum(one.memory_mib for one in rows)

    first = together(plan.bootstrap_machines) if plan.bootstraps else 0
    later = max(first, together(plan.of_role("compute")))
    return plan.settings.services.memory_mib + together(plan.of_role("control-plane")) + later
