"""One run at a time for each stack of a checkout.

Owns: a lock below `.lab` which says who holds it, and which the kernel takes back when that process ends, killed or
not. Does not own: Pulumi's own lock of the state (lab/interrupted.py), which plain `pulumi` takes as well.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import checkout
from lab.progress import StepFailed

_CHANGING = ("up", "down", "stop", "start", "clean")


@contextmanager
def of(stack: str, verb: str) -> Iterator[None]:
    """Hold the stack's lock while a verb changes it. Raises StepFailed when another run does."""
    if verb not in _CHANGING:
        yield
        return
    checkout.LAB.mkdir(exist_ok=True)
    with (checkout.LAB / f"{stack}.run").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other = file.read().strip() or "it has just begun"
            raise StepFailed(
                f"another run works on stack {stack} ({other}): this one did nothing",
                remedy="wait for its end (`make status` shows how far it is); then run the same again",
            ) from None
        file.truncate(0)
        file.write(f"`{verb}`, pid {os.getpid()}, since {time.strftime('%H:%M:%S')}\n")
        file.flush()
        yield
