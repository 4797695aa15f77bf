from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.release import tools
from lab.toolchain import golang
from tests.node import processes
from tests.node.asking import Approving, all_serve, open_ports
from tests.node.authority import Authority
from tests.node.members import Client, Cluster

MODULE = Path(__file__).resolve().parents[2] / "lab" / "node"
# Milliseconds: a leader that is lost is missed sooner than as shipped.
QUICK = 500

Make = Callable[..., Cluster]


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
    with Cluster(program, oc, authority, tmp_path_factory.mktemp("cluster"), members=1, heartbeat=QUICK) as made:
        made.ready()
        yield made


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Client:
    return cluster.as_()


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A namespace that no other test uses."""
    return f"n-{abs(hash(request.node.nodeid)) % 10**12}"


@pytest.fixture
def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def make(program: Path, oc: Path, authority: Authority, tmp_path: Path) -> Iterator[Make]:
    """Make a cluster; the first member takes the others in."""
    with ExitStack() as stack:

        def started(members: int, *, heartbeat: int = QUICK, compact: int = 0) -> Cluster:
            made = Cluster(program, oc, authority, tmp_path, members=members, heartbeat=heartbeat, compact=compact)
            stack.enter_context(made).ready()
            return made

        yield started


@pytest.fixture
def three(make: Make) -> Cluster:
    """Three members."""
    return make(3)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Cluster]:
    """Three control-plane and two compute machines, installed; every test leaves all of them Ready."""
    with processes.cluster(tmp_path_factory.mktemp("whole")) as made:
        made.begin()
        with Approving(made):
            made.bootstrap = made.installer("wait-for", "bootstrap-complete")  # type: ignore[attr-defined]
            made.at_complete = open_ports(made.machines["bootstrap"].address)  # type: ignore[attr-defined]
            made.complete = made.installer("wait-for", "install-complete")  # type: ignore[attr-defined]
            made.until("every kubelet serves", lambda: all_serve(made))
        yield made
