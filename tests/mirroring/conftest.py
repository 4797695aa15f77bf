from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab.release import oc
from tests.mirroring import world
from tests.mirroring.world import World
from tests.scripts.host import SCRIPTS

# Parts of the host agent are also tested by themselves.
sys.path.insert(0, str(SCRIPTS))


class Made(NamedTuple):
    """What all tests share: the directory with the upstream's storage, and what is in it."""

    path: Path
    digest: str
    images: dict[str, Any]
    extra: Any
    key: str


def real_oc() -> Path:
    """The real oc; built by the lab."""
    return oc()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Certificates, an upstream with a tiny release, and the archive with the real oc."""
    path = tmp_path_factory.mktemp("upstream")
    found = world.build(path, real_oc())
    return Made(path, found["digest"], found["images"], found["extra"], found["key"])


@pytest.fixture
def bare(made: Made) -> Iterator[World]:
    """A services host; no registry runs yet."""
    found = World(made.path)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def both(bare: World) -> World:
    """A services host with an empty mirror registry, and the upstream."""
    return bare.mirror().upstream()
