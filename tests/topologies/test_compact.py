"""Three control plane machines without compute."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.clone import Clone
from tests.topologies.conftest import keep_machines

pytestmark = pytest.mark.extended


def test_a_compact_cluster_comes_up(clone: Clone) -> None:
    keep_machines(clone, 3)
    clone.stack("up").ok()
    clone.pulumi("preview", "--expect-no-changes").ok()


def test_the_control_plane_is_ready_and_carries_workloads_and_ingress(clone: Clone) -> None:
    nodes = json.loads(clone.oc("get", "nodes", "-o", "json").ok().text)["items"]
    assert len(nodes) == 3
    for node in nodes:
        assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
        assert "node-role.kubernetes.io/worker" in node["metadata"]["labels"]
        assert not node["spec"].get("taints")
    answer = clone.on_services(f"curl -s -D - http://{clone.output('servicesAddress')}/").ok().text
    assert "X-Miniature-Router: control-plane-" in answer


def test_nothing_is_left(clone: Clone) -> None:
    clone.stack("down").ok()
    assert not (clone.root / ".lab" / "hypervisor").exists()
