"""One control-plane machine and its bootstrap: what goes first loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation.conftest import Agent
from tests.installation.test_real_cluster import Host
from tests.node import processes

pytestmark = pytest.mark.release


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[processes.Cluster]:
    """One control-plane machine, whose cluster takes its time to remove the bootstrap's member."""
    with processes.cluster(tmp_path / "cluster", control_plane=1, compute=0, late="member=8-12") as made:
        yield made


def test_a_single_machine_keeps_its_majority_since_the_bootstrap_goes_only_after_its_member(
    agent: Agent, machines: processes.Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(agent, machines, tmp_path)
    agent.load("installation.departure").deliver.main = lambda arguments, document: None
    machines.begin()
    machines.until("bootstrap complete", machines.bootstrap_complete, approving=True)
    assert not machines.member_removed()
    host.run(
        "departure",
        bootstrap=host.boots["bootstrap"],
        controlPlane=host.rows("control-plane"),
        loadBalancer={"socket": str(tmp_path / "no-socket"), "backends": ["api", "machine-config"]},
        bundle={"service": "load-balancer"},
        powerOff=True,
        limitMinutes=30,
    )
    assert machines.machines["bootstrap"].process is None
    assert "is removed" in capsys.readouterr().out
    written = machines.oc("annotate", "nodes", "--all", "lab/written=yes")
    assert "annotated" in written
