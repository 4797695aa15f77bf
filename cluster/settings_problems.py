"""One report of everything that is wrong with a stack's settings.

Owns the form of the report: what one problem says, how a setting and its value are shown. Does not own the rules, nor
the reading of settings (settings_form.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# What may be a secret, by the setting's name or by the value's looks.
# A login before a host, in a URL or not: a digest's @ is none.
LOGIN = r"://\S*@(?!sha256:)|^[^/\s@]*:[^/\s@]*@(?!sha256:)"
HIDDEN = re.compile(rf"secret|password|token|auths?\W{{0,3}}:|private key|{LOGIN}", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, with which value, what it would do, and how to put it right."""

    setting: str
    value: str
    harm: str
    fix: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        return f"{self.setting}{shown}\n    harm: {self.harm}\n    fix:  {self.fix}"


class SettingsError(ValueError):
    """The settings cannot be used; `problems` holds every reason and str() is the whole report."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda problem: (problem.setting, problem.harm)))
        count = len(self.problems)
        where = "in the stack's settings or on its libvirt host"
        head = f"{count} problem{'s' if count > 1 else ''} {where}; nothing was created or changed"
        super().__init__("\n".join([head, *(f"- {problem}" for problem in self.problems)]))


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written: machines.compute-1.address, uplink.resolvers[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def shown(value: Any, setting: str) -> str:
    """A value as the report shows it: cut where it gets long, and not at all where it may be a secret."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if HIDDEN.search(setting) or HIDDEN.search(text):
        return "(not shown)"
    return text if len(text) <= 80 else f"{text[:79]}…"


def within(setting: str, other: str) -> bool:
    """Whether a setting is another one or part of it."""
    return setting == other or setting.startswith((f"{other}.", f"{other}["))


@dataclass(frozen=True)
class Refused:
    """The settings whose value was refused: what follows from the defaults in their place is not true of the file."""

    settings: frozenset[str]

    def touches(self, *settings: str) -> bool:
        """Whether one of these settings, a part of it, or what it is part of was refused."""
        return any(within(one, other) or within(other, one) for one in settings for other in self.settings)

    def holds(self, setting: str) -> bool:
        """Whether this setting, or what it is part of, was refused."""
        return any(within(setting, other) for other in self.settings)
