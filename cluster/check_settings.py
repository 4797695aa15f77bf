"""How strict the checks of sizes are, where a stack may know better than they do.

Owns the shape and defaults of the section `checks`. Does not own the checks: size_checks.py for the settings alone,
preflight.py for the libvirt host.
"""

from __future__ import annotations

from typing import Literal

from cluster.section import Section

Severity = Literal["refuse", "warn", "ignore"]


class Checks(Section):
    """What becomes of a stack whose sizes are doubtful: refused, warned about, or left alone."""

    minimum_sizes: Severity = "refuse"
    """Machines, services host or registry volume smaller than what OKD needs."""
    host_memory: Severity = "refuse"
    """More memory for all of the stack's running machines than the libvirt host has free."""
    host_disk: Severity = "warn"
    """Virtual disks that could outgrow the free space of the stack's pool; they take space only as they fill."""
