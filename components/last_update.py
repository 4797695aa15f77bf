"""What the last update of the stack left: the engine's own record.

Owns the question to the engine, and that nothing is being written to the record meanwhile. Does not own what is read
out of the answer (config.py, cluster/before.py).
"""

from __future__ import annotations

from typing import Any

import pulumi


async def resources() -> dict[str, Any]:
    """The stack's resources by URN, each with `type` and `outputs`, secrets in the clear; none before the first.

    To be asked before anything is declared.
    """
    if (root := pulumi.runtime.get_root_resource()) is not None:
        # A local backend's record is empty for a moment while the stack itself is written to it: "checkpoint: EOF".
        await root.urn.future()
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    # A StackReference would be a resource, and its outputs are known too late to plan with.
    answer: Any = await pulumi.runtime.invoke_async("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack})
    return (answer or {}).get("outputs") or {}
