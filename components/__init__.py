"""How a stack is built: one Pulumi ComponentResource a file, fed with plain facts from `cluster/`.

Owns three savings for all of them, which the SDK and Python have no switch or no better default for:

- The SDK's debug messages: each is a call of its own that is waited for, five of them a resource, and the engine drops
  all but those of `--debug`.
- The stack trace of each resource: sixteen lines, a fifth of what is sent to the engine and of a state, with paths of
  whoever ran the update last.
- The search for garbage: a program that only declares things makes next to none, and each look at all it has takes
  40 ms.
"""

from __future__ import annotations

import gc
from typing import Any

import pulumi
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2


def _unsaid(*_: Any, **__: Any) -> None:
    """Take the place of `pulumi.log.debug`."""


def _nowhere() -> source_pb2.StackTrace:
    """Take the place of the SDK's stack trace."""
    return source_pb2.StackTrace()


pulumi.log.debug = _unsaid
resource._get_stack_trace = _nowhere
gc.set_threshold(100_000, 50, 100)
