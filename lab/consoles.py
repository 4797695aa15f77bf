"""The last words of machines on their serial consoles, for those that a failed run names.

Owns: finding machines' names in what was printed, and reading the end of their console logs where they are within
reach. Does not own: what failed. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.commands import Commands
from lab.facts import Facts

_DIAGNOSTICS = "Diagnostics:"
# Colours and cursor movements, and what a boot loader prints to clear the screen.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b-\x1f\x7f]")
_TAIL_BYTES = 8192


def named(told: Sequence[str], machines: Sequence[str]) -> list[str]:
    """The machines that a failed run's diagnostics name, in the machines' order."""
    lines = list(told)
    starts = [number for number, line in enumerate(lines) if _CONTROL.sub("", line).strip() == _DIAGNOSTICS]
    text = "\n".join(lines[starts[-1] :] if starts else lines)
    return [name for name in machines if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])(?!-)", text)]


def last_words(commands: Commands, facts: Facts, told: Sequence[str]) -> list[str]:
    """A line for each machine that a failed run names: the last one on its console, or where the console is."""
    found = []
    for name in named(told, list(facts.domains)):
        path = facts.consoles[name]
        if "+" in facts.uri.partition(":")[0]:
            found.append(f"the console of {name}: {path} on the libvirt host")
            continue
        done = commands.caught(["tail", "-c", str(_TAIL_BYTES), path])
        lines = [clean for line in done.stdout.splitlines() if (clean := _CONTROL.sub("", line).strip())]
        said = lines[-1][:300] if lines else ("nothing yet" if not done.returncode else "no console log yet")
        found.append(f"last on the console of {name}: {said} ({path})")
    return found
