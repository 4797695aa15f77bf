"""How a stack is built: one Pulumi ComponentResource a file, fed with plain facts from `cluster/`.

Owns two savings for all of them. The SDK keeps its debug messages to itself: it sends each in a call of its own and
waits for the answer, five of them a resource, and the engine drops all but those of `--debug`. And Python looks for
garbage less often: a program that only declares things makes next to none, and each look at all it has takes 40 ms.
"""

from __future__ import annotations

import gc
from typing import Any

import pulumi


def _unsaid(*_: Any, **__: Any) -> None:
    """Take the place of `pulumi.log.debug`."""


pulumi.log.debug = _unsaid
gc.set_threshold(100_000, 50, 100)
