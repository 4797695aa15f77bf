"""Machines of a cluster that start again, fail, lose power, are rebuilt, are added."""

from __future__ import annotations

import json
import shutil
import time
import uuid

import pytest

from tests.node.asking import all_ready, condition, kubelet_serves, open_ports, requests_of, settled
from tests.node.processes import Cluster

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def test_a_machine_that_starts_again_files_no_request(whole: Cluster) -> None:
    before = requests_of(whole)
    whole.power_off("compute-1")
    whole.start("compute-1")
    whole.until("it is back", lambda: settled(whole))
    assert requests_of(whole) == before


def test_a_machine_that_is_shut_down_says_so_before_its_silence_is_noticed(whole: Cluster) -> None:
    node = whole.machines["compute-0"].fqdn

    def said() -> str:
        """Whether it is Ready: "False" by its own word, "Unknown" by its silence."""
        return str(condition(json.loads(whole.oc("get", "node", node, "-o", "json")), "Ready")["status"])

    whole.shut_down("compute-0")
    whole.until("it is NotReady", lambda: said() != "True")
    assert said() == "False"
    whole.start("compute-0")
    whole.until("it is back", lambda: settled(whole))


def test_a_deleted_node_stays_away_until_its_machine_starts_again(whole: Cluster) -> None:
    node = whole.machines["compute-1"]
    whole.oc("delete", "node", node.fqdn)
    time.sleep(25)
    assert node.name not in whole.ready()
    whole.power_off(node.name)
    whole.start(node.name)
    whole.until("it is back", lambda: settled(whole))


def test_one_machine_of_the_control_plane_may_fail(whole: Cluster) -> None:
    leader = next(m for m in whole.of_role("control-plane") if "this machine leads" in m.log())
    whole.power_off(leader.name)
    whole.until("the API answers", lambda: "Ready" in whole.oc("get", "nodes", check=False))
    words = ["annotate", "nodes", "--all", "--overwrite", "lab/written=yes"]
    whole.until("it takes writes", lambda: "annotated" in whole.oc(*words, check=False))
    whole.until("its node is NotReady", lambda: leader.name not in whole.ready())
    operators = {row["metadata"]["name"]: row for row in whole.objects("clusteroperators")}
    assert condition(operators["etcd"], "Degraded")["status"] == "True"
    assert leader.fqdn in condition(operators["etcd"], "Degraded")["message"]
    assert condition(operators["etcd"], "Available")["status"] == "True"
    whole.start(leader.name)
    whole.until("it is back", lambda: settled(whole))


def test_a_power_cut_of_all_machines_is_survived_with_no_hand_on_it(whole: Cluster) -> None:
    before = requests_of(whole)
    stopped = time.time()
    whole.power_off()
    for name in whole.machines:
        whole.start(name)

    def beaten() -> bool:
        """Every lease was renewed after the cut."""
        rows = json.loads(whole.oc("get", "lease", "-n", "kube-node-lease", "-o", "json", check=False) or "{}")
        times = [row["spec"]["renewTime"] for row in rows.get("items", [])]
        cut = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stopped))
        return len(times) == 5 and min(times) > cut

    def quiet() -> bool:
        try:
            return beaten() and all_ready(whole)
        except ValueError:
            return False

    whole.until("all are back", quiet)
    assert requests_of(whole) == before
    assert open_ports(whole.machines["bootstrap"].address) == []
    whole.until("all serve", lambda: settled(whole))


def test_a_rebuilt_machine_of_the_control_plane_takes_its_place_again(whole: Cluster) -> None:
    machine = whole.machines["control-plane-2"]
    whole.power_off(machine.name)
    shutil.rmtree(machine.root)
    machine.uuid = str(uuid.uuid4())
    whole.start(machine.name)

    def rebuilt() -> bool:
        row = json.loads(whole.oc("get", "node", machine.fqdn, "-o", "json", check=False))
        anew = row["status"]["nodeInfo"]["systemUUID"] == machine.uuid
        return bool(anew and all_ready(whole) and kubelet_serves(machine))

    whole.until("it is Ready, and its kubelet serves", rebuilt, approving=True)
    whole.until("it serves", lambda: open_ports(machine.address) == [6443, 22623, 2380])
    whole.power_off("control-plane-0")
    words = ["annotate", "nodes", "--all", "--overwrite", "lab/rebuilt=yes"]
    whole.until("it counts for the majority", lambda: "annotated" in whole.oc(*words, check=False))
    whole.start("control-plane-0")
    whole.until("all are back", lambda: settled(whole))


def test_a_machine_that_joins_later_waits_for_somebody_to_approve_it(whole: Cluster) -> None:
    before = requests_of(whole)
    added = whole.add_compute(2)
    whole.start(added.name)
    whole.until("its request is there", lambda: len(requests_of(whole)) == len(before) + 1)
    time.sleep(6)
    assert added.fqdn not in whole.oc("get", "nodes")
    assert len(whole.approve()) == 1
    whole.until("its node is Ready", lambda: added.name in whole.ready())
    whole.until("its serving request is there", lambda: len(requests_of(whole)) == len(before) + 2)
    time.sleep(6)
    assert not kubelet_serves(added)
    assert len(whole.approve()) == 1
    whole.until("its kubelet serves", lambda: kubelet_serves(added))
    whole.until("all is well", lambda: settled(whole))
