"""What a miniature CoreOS machine runs: one static program, built from the Go module beside this file.

Owns: where the built program is kept. Does not own: how Go is called (toolchain/golang.py), and the image around it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab import checkout
from lab.cached import cached
from lab.toolchain import golang

MODULE = Path(__file__).parent
BINARY = "miniature"


def build() -> Path:
    """Return the program, from the cache if its sources have not changed. Raises StepFailed."""

    def copy(work: Path) -> None:
        shutil.copy2(golang.build(MODULE, ".", BINARY, key), work / BINARY)

    key = golang.sources_hash(MODULE, ["."])
    place = checkout.cache("node", f"{key[:16]}-{os.uname().machine}")
    return cached(place, "program of a miniature machine", copy) / BINARY
