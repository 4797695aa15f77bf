"""A plan beside what was seen of its libvirt host and beside what the stack's state holds: what preflight's checks get.

Owns what is still to be made, and a finding's form. Does not own any check.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cluster import footprint
from cluster.check_settings import Severity
from cluster.plan import Plan
from cluster.preflight.facts import HostFacts
from cluster.preflight.held import Held
from cluster.settings_problems import Problem


@dataclass(frozen=True)
class Finding:
    """A problem, and what is to become of the run."""

    severity: Severity
    problem: Problem


@dataclass(frozen=True)
class Look:
    """One plan, one look at its host."""

    plan: Plan
    facts: HostFacts

    @cached_property
    def held(self) -> Held:
        """What the stack's state holds."""
        return Held.of(self.plan.before)

    @cached_property
    def new_domains(self) -> frozenset[str]:
        """Domains that are to be made, or made anew with other sizes."""
        known = self.held.domains
        return frozenset(
            name
            for name, size in footprint.domains(self.plan).items()
            if name not in known or (known[name].cpus, known[name].memory_mib) != (size.cpus, size.memory_mib)
        )

    @cached_property
    def new_gib(self) -> float:
        """By how much the volumes that are to be made, or made larger, may grow in sum."""
        known = self.held.volumes
        return sum(max(0, size - known.get(name, 0)) for name, size in footprint.volumes(self.plan).items())

    @property
    def virsh(self) -> str:
        """How `virsh` reaches the host, for remedies."""
        return f"virsh -c {self.plan.settings.hypervisor.uri}"


def refuse(setting: str, value: str, harm: str, fix: str) -> Finding:
    """Ends the run before anything is made."""
    return Finding("refuse", Problem(setting, value, harm, fix))


def warn(setting: str, value: str, harm: str, fix: str) -> Finding:
    """Is said, and no more."""
    return Finding("warn", Problem(setting, value, harm, fix))
