"""Other topologies than the dev stack's, each in a clone with a lab of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.clone import Clone, cloned


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
