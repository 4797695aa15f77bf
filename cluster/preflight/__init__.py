"""What stands in a plan's way on its libvirt host and on this machine, found before anything is made.

Owns putting all findings together, the choice between hardware virtualization and emulation, and which form an image is
taken for. Does not own the look itself (components/host_look.py) nor removing what is found. A fact that could not be
learned gives no finding, and neither does room for a stack that stands already and stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.plan import Plan
from cluster.preflight import networks, objects, reach, room
from cluster.preflight.facts import HostFacts
from cluster.preflight.held import Held
from cluster.preflight.look import Look
from cluster.settings_problems import Problem

CHECKS = (reach.findings, objects.findings, networks.findings, room.findings)


@dataclass(frozen=True)
class Findings:
    """`refused` ends the run before anything is made; `warned` is said and no more."""

    refused: tuple[Problem, ...] = ()
    warned: tuple[Problem, ...] = ()


def findings(plan: Plan, facts: HostFacts) -> Findings:
    """Everything that was found, in the order in which it is looked for."""
    look = Look(plan, facts)
    found = [one for check in CHECKS for one in check(look)]
    by_severity = {
        severity: tuple(one.problem for one in found if one.severity == severity) for severity in ("refuse", "warn")
    }
    return Findings(refused=by_severity["refuse"], warned=by_severity["warn"])


def image_form(plan: Plan, facts: HostFacts, base: str) -> str:
    """The form, qcow2 or raw, of the services host's image, whose volume is `base`: as it stands, or as it was seen."""
    location = plan.settings.services.image.location
    return Held.of(plan.before).forms.get(base) or facts.image.form or reach.form_by_name(location)


def domain_type(plan: Plan, facts: HostFacts) -> str:
    """The libvirt domain type, `kvm` or `qemu`, for `hypervisor.accelerator`: `auto` is kvm where it is offered."""
    wanted = plan.settings.hypervisor.accelerator
    if wanted != "auto":
        return wanted
    return "kvm" if facts.processors and "kvm" in facts.processors.domain_types else "qemu"
