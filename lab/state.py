"""The checkout's own state, as Pulumi's file backend keeps it: read without the engine, which may not be there yet.

Owns: where it lies, and which stacks are in it. Does not own: what is in them; a backend elsewhere.
"""

from __future__ import annotations

import os

from lab import checkout

DIRECTORY = checkout.LAB / "state"


def elsewhere(*, in_lab: bool) -> bool:
    """Whether the caller keeps the state in another place."""
    return not in_lab and bool(os.environ.get("PULUMI_BACKEND_URL"))


def stacks() -> list[str]:
    """The stacks that were made. Backups and attributes lie beside a stack's own file."""
    names = (path.name.removesuffix(".gz") for path in (DIRECTORY / ".pulumi" / "stacks").glob("*/*"))
    return sorted({name.removesuffix(".json") for name in names if name.endswith(".json")})
