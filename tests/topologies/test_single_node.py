"""One control plane machine that carries everything."""

from __future__ import annotations

import json

from tests.end_to_end.conftest import Clone
from tests.topologies.conftest import keep_machines


def test_a_single_node_comes_up_and_takes_the_ingress(clone: Clone) -> None:
    keep_machines(clone, 1)
    clone.stack("up").ok()
    (node,) = json.loads(clone.oc("get", "nodes", "-o", "json").ok().text)["items"]
    assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
    assert "node-role.kubernetes.io/worker" in node["metadata"]["labels"]
    version = json.loads(clone.oc("get", "clusterversion", "version", "-o", "json").ok().text)
    assert {one["type"]: one["status"] for one in version["status"]["conditions"]}["Available"] == "True"
    answer = clone.on_services(f"curl -s -D - http://{clone.output('servicesAddress')}/").ok().text
    assert "X-Miniature-Router: control-plane-0" in answer
    clone.pulumi("preview", "--expect-no-changes").ok()
