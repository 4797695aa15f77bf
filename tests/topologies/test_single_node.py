"""One control plane machine that carries everything, brought up by an update that is killed at eleven points."""

from __future__ import annotations

import json
import sys
from collections import Counter

from tests.end_to_end.conftest import Clone
from tests.topologies.conftest import keep_machines, killed_when

POINTS = (
    r"services-root.* created",
    r"services-domain.* creating",
    r"services-agent.* creating",
    r"dns-bundle.* creating",
    r"images [1-9]\d* of",
    r"5/9 copy:",
    r"ignition-set.* creating",
    r"control-plane-0-domain.* creat",
    r"installation-bootstrap-complete.* (stage|waiting)",
    r"installation-bootstrap-departure.* creating",
    r"control-plane-0-join.* creating",
)
UPLOADS = "sudo journalctl -u docker-registry --no-pager -o cat | grep -F 'response completed' | grep -F 'uploads/'"


def uploads(clone: Clone) -> Counter[str]:
    """How often each blob was uploaded to the end, by its digest."""
    found: Counter[str] = Counter()
    for line in clone.on_services(UPLOADS).text.splitlines():
        if "http.request.method=PUT" in line and "http.response.status=201" in line:
            found[line.partition("digest=sha256%3A")[2][:64]] += 1
    return found


def test_killed_at_eleven_points_the_next_update_goes_on_and_comes_to_the_end(clone: Clone) -> None:
    keep_machines(clone, 1)
    for point in POINTS:
        # What the engine had started on the services host goes on there, or is cut with its connection.
        print(f"killed at: {killed_when(clone, point).strip()[:160]}", file=sys.stderr)
    clone.stack("up").ok()
    counts = uploads(clone)
    assert len(counts) > 10
    assert set(counts.values()) == {1}, "a blob was copied twice"
    clone.pulumi("preview", "--expect-no-changes").ok()


def test_the_single_node_is_ready_and_takes_workloads_and_the_ingress(clone: Clone) -> None:
    (node,) = json.loads(clone.oc("get", "nodes", "-o", "json").ok().text)["items"]
    assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
    assert "node-role.kubernetes.io/worker" in node["metadata"]["labels"]
    version = json.loads(clone.oc("get", "clusterversion", "version", "-o", "json").ok().text)
    assert {one["type"]: one["status"] for one in version["status"]["conditions"]}["Available"] == "True"
    answer = clone.on_services(f"curl -s -D - http://{clone.output('servicesAddress')}/").ok().text
    assert "X-Miniature-Router: control-plane-0" in answer


def test_nothing_is_left(clone: Clone) -> None:
    clone.stack("down").ok()
    assert not (clone.root / ".lab" / "hypervisor").exists()
