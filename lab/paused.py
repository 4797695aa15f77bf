"""Machines that libvirt has paused, for a failed run: they answer nobody, and nothing in them says why.

Owns: asking libvirt for them and what to do about each. Does not own: what failed. Standard library only.
"""

from __future__ import annotations

import re

from lab import status
from lab.commands import Commands
from lab.facts import Facts

_DISK = "a write to its disk failed, most often since the libvirt host's disk is full: free some space, then "


def told(commands: Commands, facts: Facts) -> list[str]:
    """A line for each machine of the stack that is paused, with libvirt's reason; one line where libvirt is silent."""
    states, silence = status.domains(commands, facts.uri)
    if silence:
        return [f"libvirt does not say whether a machine is paused: {silence}"]
    machines = {facts.services: facts.services_domain, **facts.domains}
    return [_line(commands, facts, *one) for one in machines.items() if states.get(one[1]) == "paused"]


def _line(commands: Commands, facts: Facts, name: str, domain: str) -> str:
    argv = ["env", "LC_ALL=C", "virsh", "-c", facts.uri, "domstate", domain, "--reason"]
    found = re.match(r"paused \((.+)\)", commands.caught(argv, what="libvirt").stdout)
    reason = found[1] if found else "no reason given"
    remedy = f"{_DISK if reason == 'I/O error' else ''}`virsh resume {domain}`"
    return f"{name} is paused ({reason}) and answers nobody; to do: {remedy}"
