"""One `pulumi up` of a stack, and what follows from its end.

Owns: running it, whether another one is wanted, and what is said of machines when it failed. Does not own:
what has to stand before it. Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster import limits
from lab import consoles, facts, paused
from lab.commands import Commands
from lab.outlook import PROBE, Outlook
from lab.progress import StepFailed, say


def another(outputs: Mapping[str, Any]) -> str:
    """Why a finished update wants another one; empty when it wants none."""
    bootstrap = outputs.get("bootstrap")
    if isinstance(bootstrap, Mapping) and bootstrap.get("state") == "complete" and bootstrap.get("machine") is True:
        return "the cluster runs without its bootstrap machine now: a second update removes it"
    return ""


def run(commands: Commands) -> tuple[int, list[str]]:
    """Run `pulumi up`, shown as it goes; its exit code and last lines."""
    argv = ["pulumi", "up", "--yes", "--skip-preview", "--stack", commands.stack, "--non-interactive"]
    say(f"running: {' '.join(argv)}")
    colour = ["--color", "always"] if sys.stdout.isatty() else []
    return commands.followed([*argv, *colour], Outlook(lambda answered: _await_ssh(commands, answered)).heard)


def _await_ssh(commands: Commands, answered: Callable[[], None]) -> None:
    """Call `answered` once the SSH server of the stack's services host has greeted; in a thread of its own."""

    def wait() -> None:
        address = facts.of(commands.stack).uplink
        argv = commands.where([sys.executable, "-c", PROBE, address, str(limits.SERVICES_ANSWER.seconds)])
        if subprocess.run(argv, capture_output=True, check=False).stdout.startswith(b"answered"):
            answered()

    threading.Thread(target=wait, daemon=True, name="first SSH").start()


def say_machines(commands: Commands, told: Sequence[str]) -> None:
    """Say which machines are paused, and the last words of those that a failed update named."""
    try:
        known = facts.of(commands.stack)
        lines = [*paused.told(commands, known), *consoles.last_words(commands, known, told)]
    except StepFailed:
        return  # it failed on the settings, and has said so
    for line in lines:
        say(line)
