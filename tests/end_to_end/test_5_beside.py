"""A second stack in the dev stack's lab: one control plane machine that carries everything.

It comes up by an update that is killed at eleven points, has the same cluster network, and goes again; the dev stack
takes no notice. The tests build on each other in the order of the file.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.end_to_end.clone import Clone
from tests.end_to_end.cluster_side import Asking, Peer, Streams, asked_api, held_streams
from tests.end_to_end.nodes import boots, identities, ready, running
from tests.end_to_end.test_3_cluster import NODES
from tests.end_to_end.untouched import nothing_changes

pytestmark = pytest.mark.extended

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
# With a hyphen: such a stack joins its names in another way.
NAME = "single-node"


@dataclass(frozen=True)
class Dev:
    """The dev stack as it was, and those who use it all the while."""

    domains: dict[str, str]
    boots: dict[str, str]
    streams: Streams
    api: Asking

    def serves(self) -> None:
        """Nobody who used it noticed anything."""
        assert len(self.streams.hosts) == 2
        assert all(self.streams.flowing().values()), "a connection through the ingress was dropped"
        answers, failures = self.api.told()
        print(f"requests to the API: {answers} answered, {len(failures)} failed", file=sys.stderr)
        assert answers > 0
        assert not failures


@pytest.fixture(scope="module")
def dev(clone: Clone) -> Iterator[Dev]:
    assert ready(clone) == set(NODES)
    with Peer(clone) as peer, held_streams(clone, peer) as streams, asked_api(clone) as api:
        yield Dev(running(clone), boots(clone), streams, api)


@pytest.fixture(scope="module")
def other(clone: Clone) -> Iterator[Clone]:
    """The dev stack's settings with other machines and another uplink; the cluster's name and network are the same."""
    made = clone.beside(NAME)
    document: dict[str, Any] = yaml.safe_load(clone.settings_file.read_text())
    config = document["config"]
    config["okd-libvirt:uplink"]["cidr"] = "192.168.126.0/24"
    machines = config["okd-libvirt:machines"]
    config["okd-libvirt:machines"] = {name: machines[name] for name in ("bootstrap", "control-plane-0")}
    made.settings_file.write_text(yaml.safe_dump(document, sort_keys=False))
    yield made
    made.settings_file.unlink()


def uploads(stack: Clone) -> Counter[str]:
    """How often each blob was uploaded to the end, by its digest."""
    found: Counter[str] = Counter()
    for line in stack.on_services(UPLOADS).text.splitlines():
        if "http.request.method=PUT" in line and "http.response.status=201" in line:
            found[line.partition("digest=sha256%3A")[2][:64]] += 1
    return found


def test_a_preview_of_a_new_stack_makes_nothing_of_it(clone: Clone, other: Clone) -> None:
    with nothing_changes(clone):
        shown = other.stack("preview").ok().text
    assert "to create" in shown
    assert NAME not in clone.pulumi("stack", "ls").ok().text


def test_killed_at_eleven_points_the_next_update_goes_on_and_comes_to_the_end(dev: Dev, other: Clone) -> None:
    for point in POINTS:
        # What the engine had started on the services host goes on there, or is cut with its connection.
        print(f"killed at: {other.killed_when(point).strip()[:160]}", file=sys.stderr)
    other.stack("up").ok()
    counts = uploads(other)
    assert len(counts) > 10
    assert set(counts.values()) == {1}, "a blob was copied twice"
    other.pulumi("preview", "--expect-no-changes").ok()
    dev.serves()


def test_the_single_node_is_ready_and_takes_workloads_and_the_ingress(other: Clone) -> None:
    (node,) = json.loads(other.oc("get", "nodes", "-o", "json").ok().text)["items"]
    assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
    assert "node-role.kubernetes.io/worker" in node["metadata"]["labels"]
    version = json.loads(other.oc("get", "clusterversion", "version", "-o", "json").ok().text)
    assert {one["type"]: one["status"] for one in version["status"]["conditions"]}["Available"] == "True"
    answer = other.on_services(f"curl -s -D - http://{other.output('servicesAddress')}/").ok().text
    assert "X-Miniature-Router: control-plane-0" in answer


def test_each_stack_has_its_own_machines_of_one_name_and_address(clone: Clone, other: Clone) -> None:
    tables = [{row["name"]: row for row in stack.output("machines")} for stack in (clone, other)]
    one, two = (table["control-plane-0"] for table in tables)
    assert (one["address"], one["fqdn"]) == (two["address"], two["fqdn"])
    assert one["mac"] != two["mac"]
    assert ready(clone) == set(NODES)
    assert ready(other) == {"control-plane-0"}
    assert boots(clone)["control-plane-0"] != boots(other)["control-plane-0"]
    assert set(identities(other)) == {"services", "control-plane-0"}
    for stack in (clone, other):
        assert "control-plane-0" in stack.stack("status").ok().text
        stack.pulumi("preview", "--expect-no-changes").ok()


def test_the_second_stack_destroyed_the_lab_and_the_dev_stack_go_on_undisturbed(
    clone: Clone, dev: Dev, other: Clone
) -> None:
    done = other.stack("down").ok()
    assert "the lab goes on, since dev stands in it" in done.text
    assert NAME not in clone.on_libvirt()
    assert NAME not in clone.pulumi("stack", "ls").ok().text
    dev.serves()
    assert running(clone) == dev.domains
    assert boots(clone) == dev.boots
    assert ready(clone) == set(NODES)
    clone.pulumi("preview", "--refresh", "--expect-no-changes").ok()
