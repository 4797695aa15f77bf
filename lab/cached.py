"""Directories in the cache that are there whole or not at all.

Owns: that one process makes a directory while others wait, and that what a killed one left is begun anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from lab.progress import step


def cached(final: Path, what: str, make: Callable[[Path], None], *, announce: bool = True) -> Path:
    """Return `final`; when it is missing, let `make` fill a directory beside it that then takes its name.

    `announce` shows the making as one step; a `make` that shows steps of its own goes without.
    """
    with _alone(final, what):
        if not final.is_dir():
            work = final.with_name(f".{final.name}")
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                with step(f"making the {what} (kept in {final})") if announce else nullcontext():
                    make(work)
                work.rename(final)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return final


@contextmanager
def _alone(final: Path, what: str) -> Iterator[None]:
    """Be the only process that makes `final`; the kernel takes the lock back from one that is killed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(final.with_name(f".{final.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"waiting for another process that makes the {what}"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
