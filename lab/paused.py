"""Machines that libvirt has paused, for a failed run: they answer nobody, and nothing in them says why.

Owns: asking libvirt for them and what to do about each. Does not own: what failed. Standard library only.
"""

from __future__ import annotations

import re

from lab.commands import Commands
from lab.facts import Facts

_DISK = "a write to its disk failed, most often since the libvirt host's disk is full: free some space, then "


def told(commands: Commands, facts: Facts) -> list[str]:
    """A line for each machine of the stack that is paused, with libvirt's reason; none where libvirt does not say."""
    found = []
    for name, domain in {facts.services: facts.services_domain, **facts.domains}.items():
        argv = ["env", "LC_ALL=C", "virsh", "-c", facts.uri, "domstate", domain, "--reason"]
        done = commands.caught(argv, what="libvirt")
        paused = re.match(r"paused(?: \((.+)\))?\s*$", done.stdout)
        if not done.returncode and paused:
            reason = paused[1] or "no reason given"
            remedy = f"{_DISK if reason == 'I/O error' else ''}`virsh resume {domain}`"
            found.append(f"{name} is paused ({reason}) and answers nobody; to do: {remedy}")
    return found
