"""How far a first `pulumi up` is and how long the rest will take, from what it shows.

Owns: the milestones of a first update with their usual times, and measuring when the services host's SSH first answers,
which tells how fast its machines are. Does not own: the update. Standard library only.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab import pace
from lab.progress import say

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BEGIN = re.compile(r"\bservices-domain\b.*\bcreat")
# Runs where the stack's networks are: prints once the SSH server has greeted, or ends without a word.
PROBE = """
import socket, sys, time
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        with socket.create_connection((sys.argv[1], 22), 5) as link:
            link.settimeout(30)
            if link.recv(4).startswith(b"SSH"):
                print("answered", flush=True)
                break
    except OSError:
        pass
    time.sleep(0.5)
"""


@dataclass(frozen=True)
class Milestone:
    """What is reached when a line shows `sign`; `usual` seconds after the services host's domain was made."""

    name: str
    sign: str
    usual: float
    then: str


# On 2 cores without KVM, nothing beside it: the services host's SSH after 40 s (docs/validation.md).
FIRST_SSH = Milestone("the services host answers", "", 40, "its first boot ends, and its services are delivered")
MILESTONES = (
    Milestone("all services serve", r"\bsmoke-check-run\b.*\bcreated\b", 78, "the release is mirrored"),
    Milestone(
        "the release is mirrored", r"\bmirror-release\b.*\bcreated\b", 115, "tools and ignition configs are made"
    ),
    Milestone("ignition configs are there", r"\bignition-set\b.*\bcreated\b", 155, "the machines boot and install"),
    Milestone(
        "the control plane does without the bootstrap",
        r"\binstallation-bootstrap-complete\b.*\bcreated\b",
        245,
        "the bootstrap leaves, compute machines join",
    ),
    Milestone("every node is Ready", r"\binstallation-complete\b.*\bcreated\b", 275, ""),
)


class Outlook:
    """What a first update is at; other updates are told nothing."""

    def __init__(self, watch: Callable[[Callable[[], None]], None], tell: Callable[[str], None] = say) -> None:
        """`watch` begins to look for the services host's SSH and calls what it is given once, when that answers."""
        self._watch, self._tell = watch, tell
        self._began: float | None = None
        self._left = list(MILESTONES)
        self._lock = threading.Lock()
        self.first_ssh: float | None = None

    def heard(self, line: str) -> None:
        """Take note of a line that the update has shown."""
        line = COLOUR.sub("", line)
        if self._began is None:
            if BEGIN.search(line):
                self._began = time.monotonic()
                self._watch(self._answered)
            return
        for one in self._left:
            if re.search(one.sign, line):
                self._reached(one)
                self._left = self._left[self._left.index(one) + 1 :]
                return

    def _answered(self) -> None:
        assert self._began is not None
        self.first_ssh = time.monotonic() - self._began
        self._reached(FIRST_SSH)

    def _reached(self, one: Milestone) -> None:
        assert self._began is not None
        gone = time.monotonic() - self._began
        with self._lock:
            slower = gone / one.usual
            left = (MILESTONES[-1].usual - one.usual) * slower
            told = (
                f"{one.name}: {gone:.0f} s after its machine was made ({slower:.1f} times the usual {one.usual:.0f} s)"
            )
            self._tell(f"{told}; {one.then}, about {pace.words(left)} to the end" if one.then else told)
