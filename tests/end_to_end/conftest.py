"""Fixtures: the dev stack, brought up once in a clone of this checkout with a lab of its own; and what is left of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.clone import Clone, Finished, cloned

__all__ = ["Clone", "Finished", "cloned"]

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.end_to_end)


def secrets_of(value: Any) -> Iterator[str]:
    """Every secret text in an exported state with secrets shown."""
    if isinstance(value, dict):
        if SECRET_SIGNATURE in value and "plaintext" in value:
            yield from _texts(json.loads(value["plaintext"]))
        else:
            for inner in value.values():
                yield from secrets_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_of(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


@pytest.fixture(scope="session")
def host_before() -> dict[str, str]:
    """What stands on this machine before the clone's lab is started."""
    return host_snapshot()


def host_snapshot() -> dict[str, str]:
    """Links, addresses, firewall rules, mounts and namespaces of this machine that a lab could leave behind."""

    def shown(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    return {
        "links": shown("ip", "-o", "link").replace("\\", "\n"),
        "addresses": "\n".join(line.split("valid_lft")[0] for line in shown("ip", "-o", "addr").splitlines()),
        "firewall": shown("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "namespaces": shown("ip", "netns", "list"),
    }


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, host_before: dict[str, str]) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("clone", numbered=True)) as made:
        yield made


@pytest.fixture(scope="session")
def libvirt_before(clone: Clone) -> str:
    """What the libvirt host holds before the stack is brought up."""
    clone.stack("hypervisor").ok()
    return clone.on_libvirt()


@pytest.fixture(scope="session")
def up(clone: Clone, libvirt_before: str) -> Finished:
    """The dev stack, brought up once for all tests by `make up`."""
    return clone.stack("up").ok()


@pytest.fixture(autouse=True)
def _stack(up: Finished) -> None:
    """Every test here needs the stack."""
