"""The question to the engine what its last update left."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components import last_update


def test_the_record_is_not_read_while_the_stack_itself_is_written_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    async def invoke(token: str, props: dict[str, Any]) -> dict[str, Any]:
        happened.append(token)
        return {"outputs": {"urn": {}}}

    async def asked() -> dict[str, Any]:
        written: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        root = SimpleNamespace(urn=SimpleNamespace(future=lambda: written))
        monkeypatch.setattr(pulumi.runtime, "get_root_resource", lambda: root)
        asking = asyncio.create_task(last_update.resources())
        for _ in range(9):
            await asyncio.sleep(0)
        happened.append("written")
        written.set_result("urn")
        return await asking

    monkeypatch.setattr(pulumi.runtime, "invoke_async", invoke)
    assert asyncio.run(asked()) == {"urn": {}}
    assert happened == ["written", "pulumi:pulumi:readStackResourceOutputs"]
