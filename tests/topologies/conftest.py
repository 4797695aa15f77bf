"""Other topologies than the dev stack's, each in a clone with a lab of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Clone, cloned


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("topology", numbered=True)) as made:
        yield made


def keep_machines(clone: Clone, count: int) -> None:
    """Leave `count` control plane machines and no compute in the dev stack's settings."""

    def shrink(config: dict[str, Any]) -> None:
        machines = config["okd-libvirt:machines"]
        kept = ("bootstrap", *(f"control-plane-{number}" for number in range(count)))
        for name in [name for name in machines if name not in kept]:
            del machines[name]

    clone.change_settings(shrink)


def killed_when(clone: Clone, sign: str) -> str:
    """Start `make up` and kill it, the engine and its plugins once `sign` (regex) is shown; the line that showed it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    environment |= {"PYTHONPATH": str(clone.root), "CI": "true"}
    seen: list[str] = []
    with subprocess.Popen(
        ["make", "up"], cwd=clone.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as engine:  # fmt: skip
        assert engine.stdout is not None
        for line in engine.stdout:
            seen.append(line)
            if re.search(sign, line):
                os.killpg(engine.pid, signal.SIGKILL)
                break
    clone.transcript += seen
    assert re.search(sign, seen[-1]), f"{sign} was never shown\n{''.join(seen[-40:])}"
    return seen[-1]
