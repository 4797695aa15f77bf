"""How a stack is built: one Pulumi ComponentResource a file, fed with plain facts from `cluster/`.

Owns two savings for all of them, which the SDK has no switch for:

- The SDK's debug messages: each is a call of its own that is waited for, five of them a resource, and the engine drops
  all but those of `--debug`.
- The stack trace of each resource: sixteen lines, a fifth of what is sent to the engine and of a state, with paths of
  whoever ran the update last.
"""

from __future__ import annotations

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
