"""How long the rest of a set-up will take, told from the first long step that ended on this machine.

Owns: the usual times, and how much slower or faster this machine has proved to be in this run. Does not own: the steps.
Standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from lab import checkout

# Seconds on 2 cores without KVM, nothing beside it, with Go's caches empty (docs/validation.md).
USUAL = {
    "pulumi": 350.0,
    "pulumi-resource-random": 100.0,
    "pulumi-resource-libvirt": 15.0,
    "pulumi-resource-tls": 10.0,
    "pulumi-resource-command": 10.0,
    "oc": 250.0,
    "openshift-install": 850.0,
    "miniature": 20.0,
}
# Below this, chance says more than the machine.
_TELLING_SECONDS = 30.0
_lock = threading.Lock()
_seen: dict[str, float] = {}


def took(name: str, seconds: float) -> str:
    """Note how long a step took; after the first long one, what that means for the rest, else empty."""
    with _lock:
        first = factor() is None
        _seen[name] = seconds
        known = factor()
    left = [one for one in _missing() if one not in _seen]
    if not first or known is None or not left:
        return ""
    rest = sum(USUAL[one] for one in left) * known
    return (
        f"this machine took {known:.1f} times as long as usual: compiling {', '.join(left)} takes about {words(rest)}"
    )


def factor() -> float | None:
    """How many times longer than usual this run's long steps took; None before the first ended."""
    telling = [name for name in _seen if USUAL.get(name, 0) >= _TELLING_SECONDS]
    return sum(_seen[name] for name in telling) / sum(USUAL[name] for name in telling) if telling else None


def expected(name: str) -> float | None:
    """How many seconds a step will take on this machine, so far as is known."""
    return USUAL[name] * (factor() or 1.0) if name in USUAL else None


def words(seconds: float) -> str:
    """A time to come, no more exact than it is known."""
    if seconds < 90:
        return f"{max(10, round(seconds / 10) * 10)} s"
    return f"{round(seconds / 60)} min"


def _missing() -> Iterable[str]:
    """The programs of which the cache has no build at all."""
    place = checkout.cache("toolchain", "")
    return [name for name in USUAL if not any(place.glob(f"*/{name}"))]
