"""The passphrase that the lab keeps for the state, and its loss.

Owns: noticing that it is gone while the state still needs it, before a new one takes its place. Does not own: making
it; a passphrase that the caller's environment names. Standard library only.
"""

from __future__ import annotations

import os

from lab import checkout, state
from lab.obstacles import Obstacle

FILE = checkout.LAB / "passphrase"
GIVEN = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL")


def obstacles(*, in_lab: bool) -> list[Obstacle]:
    """What is wrong with it, if it is the one that counts."""
    given_elsewhere = not in_lab and any(os.environ.get(name) for name in GIVEN)
    stacks = state.stacks()
    if given_elsewhere or not stacks or (FILE.is_file() and FILE.read_text().strip()):
        return []
    condition, lost = "empty" if FILE.exists() else "gone", f"rm -r {state.DIRECTORY}"
    return [
        Obstacle(
            f"{FILE} is {condition}, and {state.DIRECTORY} holds {', '.join(stacks)}, encrypted with what was in it",
            "no secret of the state could be read: the stack could neither be changed nor destroyed",
            "put the file back from a copy. If there is none: end the lab (python3 -m lab.hypervisor down), which "
            f"takes along all that stands in it; remove by hand what stands on other libvirt hosts; then: {lost}",
        )
    ]
