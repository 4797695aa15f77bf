"""How a stack is built: one Pulumi ComponentResource a file, fed with plain facts from `cluster/`.

Owns, for all of them, that the SDK keeps its debug messages to itself: it sends each in a call of its own and waits for
the answer, five of them a resource and a fifth of a preview's time, and the engine drops all but those of `--debug`.
"""

from __future__ import annotations

from typing import Any

import pulumi


def _unsaid(*_: Any, **__: Any) -> None:
    """Take the place of `pulumi.log.debug`."""


pulumi.log.debug = _unsaid
