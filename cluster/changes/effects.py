"""One effect of a change: its words, and what is replaced or removed for it.

Owns their form and the grammar that several modules share. Does not own which effects a change has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Effect:
    """`words` for people; `replaces` names the libvirt objects, as the state names them, that are made anew or removed.

    The engine's own plan is compared with `replaces` by a test: words that claim less, or more, are found out.
    """

    words: str
    replaces: frozenset[str] = frozenset()


def effect(words: str, replaces: Iterable[str] = ()) -> Effect:
    """An effect."""
    return Effect(words, frozenset(replaces))


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def number(value: Any) -> str:
    """A number as it is written in settings, though it may come back from a state as a float."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def differs(key: str, old: Row, new: Row) -> bool:
    """Whether both rows know the key and disagree; an older program's state may not hold it."""
    return key in old and old[key] != new[key]
