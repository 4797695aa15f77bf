"""Directories in the cache that are there whole or not at all.

Owns: that one process makes a directory while others wait, and that what a killed one left is begun anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lab.progress import step


def cached(final: Path, what: str, make: Callable[[Path], None]) -> Path:
    """Return `final`; when it is missing, let `make` fill a directory beside it that then takes its name."""
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if final.is_dir():
            return final
        work = final.with_name(f".{final.name}")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        with step(f"making the {what} (kept in {final})"):
            make(work)
        work.rename(final)
    finally:
        os.close(descriptor)
    return final
