from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.release import tools
from lab.toolchain import golang
from tests.node.members import Authority, Cluster

MODULE = Path(__file__).resolve().parents[2] / "lab" / "node"


@pytest.fixture(scope="session")
def oc() -> Path:
    """The real client; built by the lab."""
    return tools.oc()


@pytest.fixture(scope="session")
def program() -> Path:
    """One API server with its member of the store, as a process."""
    key = golang.sources_hash(MODULE, ["internal/api", "internal/store"])
    return golang.build(MODULE, "./internal/api/cmd", "miniature-api", key)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def cluster(
    program: Path, oc: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One member, shared by the tests of a module: each uses names of its own."""
    with Cluster(program, oc, authority, tmp_path_factory.mktemp("cluster"), members=1, heartbeat=500) as made:
        made.ready()
        yield made


@pytest.fixture
def heartbeat() -> int:
    """How long a leader may be silent, in milliseconds; 0 for what members have by themselves."""
    return 500


@pytest.fixture
def three(program: Path, oc: Path, authority: Authority, tmp_path: Path, heartbeat: int) -> Iterator[Cluster]:
    """Three members; the first one took the others in."""
    with Cluster(program, oc, authority, tmp_path, members=3, heartbeat=heartbeat) as made:
        made.ready()
        yield made
