"""okd-libvirt: settings -> plan -> components -> outputs, in components/stack.py.

Owns that Pulumi's plugins start while the rest of the program is read and the stack is planned, and that little time
goes into looking for garbage.
"""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pulumi

from components import last_update
from components.providers import PROVIDERS, Providers

THREADS = 8


def read() -> ModuleType:
    """The rest of the program."""
    from components import stack

    return stack


async def main() -> dict[str, Any]:
    """Build the stack; its outputs."""
    preview = pulumi.runtime.is_dry_run()
    if preview:
        # Nothing is waited for, so a few threads do; the SDK would start one for every resource.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    # Once plugins start, the engine answers nothing else for a while.
    asking = asyncio.create_task(last_update.resources())
    # A preview makes nothing. An update declares nothing before its settings are found to be good.
    early = Providers(PROVIDERS) if preview else None
    stack = await asyncio.to_thread(read)
    outputs: dict[str, Any] = await stack.built(early, await asking)
    return outputs


# A program that only declares things makes next to no garbage, and each look at everything it has takes 40 ms.
gc.set_threshold(100_000, 50, 100)
pulumi.run(main)
