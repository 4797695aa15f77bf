"""A machine leaves: cordoned, drained, shut down, and removed only when it is not declared any more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.installation.conftest import Agent, in_memory
from tests.installation.fake_api import DOMAIN, NODES, FakeApi
from tests.installation.test_join import meanwhile

ETCD = "/apis/operator.openshift.io/v1/etcds/cluster"
BUDGET = "/apis/policy/v1/namespaces/openshift-etcd/poddisruptionbudgets/etcd-guard-pdb"
UUID = "6f2c1a2e-0000-4000-8000-000000000020"
FQDN = f"compute-0.{DOMAIN}"
NODE = f"{NODES}/{FQDN}"
# Notes how it was called, and says what the real one does.
OC = """#!/bin/sh
printf '%s\\n' "$*" >> {root}/calls
cat "$KUBECONFIG" > {root}/kubeconfig
stat -L -c %a "$KUBECONFIG" > {root}/mode
env > {root}/environment
cat {root}/says
exit $(cat {root}/code)
"""


class World:
    """A cluster of one control-plane and two compute machines, and what the machine's shell was told."""

    def __init__(self, agent: Agent, api: FakeApi, root: Path) -> None:
        self.agent, self.api, self.root = agent, api, root
        self.steps: list[str] = []
        self.reachable = True
        api.node("control-plane-0", role="control-plane", uuid="c")
        api.node("compute-0", uuid=UUID, boot="b1")
        api.node("compute-1", uuid="1")
        self.says("pod/router-default-x evicted\npod/console-y evicted\nnode/compute-0 drained\n")
        oc = root / "oc"
        oc.write_text(OC.format(root=root))
        oc.chmod(0o755)
        self.row = {
            "name": "compute-0",
            "fqdn": FQDN,
            "role": "compute",
            "address": "192.168.200.20",
            "mac": "52:54:00:00:00:20",
        }
        self.declare(self.row)

    def says(self, text: str, code: int = 0) -> None:
        (self.root / "says").write_text(text)
        (self.root / "code").write_text(str(code))

    def declare(self, *rows: dict[str, str]) -> None:
        self.agent.load("installation.declare").main([], {"machines": list(rows)})

    def leaves(self, **other: Any) -> None:
        machine = {**self.row, "uuid": UUID, **other}
        document = {"api": self.api.where, "machine": machine, "drainMinutes": 2}
        self.agent.load("installation.leave").main([], document)

    def drained(self) -> list[str]:
        calls = self.root / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def control_plane(self, *, ready: bool = True) -> None:
        """Three of the control plane, of which control-plane-2 is to go, and an etcd that is whole."""
        for number in (0, 1):
            self.api.node(f"control-plane-{number}", role="control-plane", uuid=f"c{number}")
        self.api.node("control-plane-2", role="control-plane", uuid="c2", ready=ready)
        self.row |= {"name": "control-plane-2", "fqdn": f"control-plane-2.{DOMAIN}", "role": "control-plane"}
        self.etcd(EtcdMembersAvailable="True", EtcdMembersDegraded="False")
        self.guard(3)

    def etcd(self, **conditions: str) -> None:
        rows = [{"type": kind, "status": status, "message": f"says {status}"} for kind, status in conditions.items()]
        self.api.add(ETCD, status={"conditions": rows})

    def guard(self, healthy: int) -> None:
        status = {"currentHealthy": healthy, "desiredHealthy": 2, "disruptionsAllowed": max(0, healthy - 2)}
        self.api.add(BUDGET, metadata={"generation": 1}, status={"observedGeneration": 1, **status})

    def installed(self) -> None:
        self.agent.load("ignition.guard").note_installed()


@pytest.fixture
def world(agent: Agent, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(agent, api, tmp_path)
    leave, shell, commands = (agent.load(name) for name in ("installation.leave", "installation.shell", "commands"))
    monkeypatch.setattr(leave, "BIN", str(tmp_path))
    monkeypatch.setattr(leave, "PAUSE", 0.02)
    monkeypatch.setattr(agent.load("installation.waiting"), "POLL", 0.02)
    agent.waits("ETCD", 0.2)
    agent.waits("API_SILENCE", 0.5)

    def power_off(row: Any) -> Any:
        made.steps.append(f"power off {row.address}, drained {len(made.drained())} times")
        return commands.Result(0, "") if made.reachable else commands.Result(255, "ssh: no route to host")

    def await_off(row: Any, limit: float, waiting: Any) -> bool:
        made.steps.append(f"await {row.name} off, {limit:g} s at most")
        return True

    monkeypatch.setattr(shell, "power_off", power_off)
    monkeypatch.setattr(shell, "await_off", await_off)
    return made


def result(shown: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown.rstrip().splitlines()[-1].removeprefix("result: "))
    return found


def test_a_machine_that_is_made_anew_is_drained_and_shut_down_and_keeps_its_node(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.leaves()
    node = world.api.get(NODE)
    assert node["spec"] == {"unschedulable": True}
    assert node["metadata"]["annotations"] == {"okd-libvirt/cordoned": "leave b1"}
    assert world.steps == ["power off 192.168.200.20, drained 1 times", "await compute-0 off, 900 s at most"]
    shown = capsys.readouterr().out
    assert "stage 3/5 drain: pods evicted: 2" in shown
    assert result(shown) == {"removed": False}


def test_a_machine_that_is_not_declared_any_more_is_no_node_afterwards(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.declare()
    world.leaves()
    assert NODE not in world.api.objects
    assert world.api.changes()[-1] == f"DELETE {NODE}"
    assert len(world.steps) == 2
    assert result(capsys.readouterr().out) == {"removed": True}


def test_the_drain_is_the_releases_oc_with_everything_that_a_node_needs(world: World) -> None:
    world.leaves()
    assert world.drained() == [
        f"adm drain {FQDN} --ignore-daemonsets --delete-emptydir-data --force --timeout=120s --request-timeout=30s"
    ]


def test_the_credentials_are_in_no_argument_and_on_no_disk(world: World) -> None:
    world.leaves()
    environment = (world.root / "environment").read_text()
    kubeconfig = next(line for line in environment.splitlines() if line.startswith("KUBECONFIG="))
    assert kubeconfig.startswith(f"KUBECONFIG=/proc/{os.getpid()}/fd/")
    assert not in_memory()
    assert (world.root / "mode").read_text() == "600\n"
    cluster = json.loads((world.root / "kubeconfig").read_text())["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://127.0.0.1:{world.api.port}"
    assert cluster["tls-server-name"] == f"api.{DOMAIN}"


def test_a_drain_that_does_not_end_leaves_the_machine_alone_and_names_the_pods(world: World) -> None:
    world.says("error when evicting pods/db-0: Cannot evict pod as it would violate the pod's disruption budget.\n", 1)
    with pytest.raises(world.agent.failed, match="compute-0 cannot be drained within 2 minutes") as failure:
        world.leaves()
    failed: Any = failure.value
    assert "db-0" in failed.message
    assert "PodDisruptionBudget" in failed.remedy
    assert f"oc adm uncordon {FQDN}" in failed.remedy
    assert world.steps == []
    assert NODE in world.api.objects


def test_a_run_that_was_killed_is_done_again_to_its_end(world: World) -> None:
    world.declare()
    world.says("killed\n", 1)
    with pytest.raises(world.agent.failed, match="cannot be drained"):
        world.leaves()
    world.says("node/compute-0 drained\n")
    world.leaves()
    assert NODE not in world.api.objects
    world.leaves()


def test_a_machine_that_cannot_be_told_to_go_goes_as_it_is(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.reachable = False
    world.declare()
    world.leaves()
    assert "no route to host" in capsys.readouterr().out
    assert NODE not in world.api.objects


def test_where_no_api_answers_there_is_nothing_to_do(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.api.stop()
    world.leaves()
    shown = capsys.readouterr().out
    assert "no cluster answers" in shown
    assert f"oc delete node {FQDN}" in shown
    assert result(shown) == {"removed": False}
    assert world.steps == world.drained() == []


def test_without_a_set_there_is_nothing_to_do(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.agent.release / "install").rename(world.agent.release / "elsewhere")
    world.leaves()
    assert "no credentials" in capsys.readouterr().out
    assert world.drained() == []


def test_the_silence_of_an_installed_cluster_is_given_time_to_pass(world: World) -> None:
    world.installed()
    world.api.stop()
    world.agent.waits("API_SILENCE", 600)
    with meanwhile(world.api.start, pause=0.3):
        world.leaves()
    assert len(world.drained()) == 1


def test_a_machine_that_is_no_node_has_nothing_to_leave(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    del world.api.objects[NODE]
    world.leaves()
    assert "is no Node" in capsys.readouterr().out
    assert world.steps == world.drained() == []


def test_a_node_on_another_machine_by_now_is_left_alone(world: World) -> None:
    world.leaves(uuid=UUID.replace("6f", "7a"))
    assert world.api.changes() == []
    assert world.steps == world.drained() == []


@pytest.mark.parametrize("ready", [False, None])
def test_no_control_plane_machine_goes_while_another_is_not_ready(world: World, ready: bool | None) -> None:
    world.api.node("control-plane-1", role="control-plane", uuid="c1", ready=ready)
    world.api.node("control-plane-2", role="control-plane", uuid="c2")
    row = {**world.row, "name": "control-plane-2", "fqdn": f"control-plane-2.{DOMAIN}", "uuid": "c2"}
    with pytest.raises(world.agent.failed, match=f"while control-plane-1.{DOMAIN} of the control plane") as failure:
        world.leaves(**row)
    assert "bring control-plane-1" in failure.value.remedy  # type: ignore[attr-defined]
    assert world.api.changes() == []
    assert world.steps == world.drained() == []


def test_no_control_plane_machine_goes_while_another_merely_reads_ready(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.agent.load("installation.leases"), "POLL", 0.02)
    world.agent.waits("LEASE", 0.2)
    world.api.lease("control-plane-0", age=3600)
    world.api.node("control-plane-2", role="control-plane", uuid="c2")
    row = {**world.row, "name": "control-plane-2", "fqdn": f"control-plane-2.{DOMAIN}", "uuid": "c2"}
    with pytest.raises(world.agent.failed, match=f"while control-plane-0.{DOMAIN} of the control plane"):
        world.leaves(**row)
    assert world.api.changes() == []
    assert world.steps == world.drained() == []


def test_a_control_plane_machine_goes_once_etcd_says_that_it_can_be_missed(world: World) -> None:
    world.control_plane()
    world.leaves(uuid="c2")
    assert world.steps[0] == "power off 192.168.200.20, drained 1 times"


UNFIT: dict[str, tuple[Callable[[World], None], str]] = {
    "no majority": (
        lambda world: world.etcd(EtcdMembersAvailable="False"),
        "EtcdMembersAvailable is False: says False",
    ),
    "one is unhealthy": (
        lambda world: world.etcd(EtcdMembersAvailable="True", EtcdMembersDegraded="True"),
        "EtcdMembersDegraded is True",
    ),
    "not told yet": (lambda world: world.etcd(EtcdMembersAvailable="Unknown"), "EtcdMembersAvailable is Unknown"),
    "no condition": (lambda world: world.etcd(), "EtcdMembersAvailable is unknown"),
    "no operator": (lambda world: world.api.objects.pop(ETCD), "EtcdMembersAvailable is unknown"),  # type: ignore[dict-item]
    "no answer": (lambda world: world.api.refuse.update({("GET", ETCD): 503}), "unknown, since the API"),
    "no right": (lambda world: world.api.refuse.update({("GET", BUDGET): 403}), "unknown, since the API"),
    "no disruption allowed": (lambda world: world.guard(2), "allows 0 disruptions"),
    "no budget": (lambda world: world.api.objects.pop(BUDGET), "there is no disruption budget etcd-guard-pdb"),  # type: ignore[dict-item]
    "an old status": (
        lambda world: world.api.add(
            BUDGET,
            metadata={"generation": 2},
            status={"observedGeneration": 1, "currentHealthy": 3, "desiredHealthy": 2, "disruptionsAllowed": 1},
        ),  # type: ignore[dict-item]
        "is an old one",
    ),
    "no status": (lambda world: world.api.add(BUDGET, metadata={"generation": 1}), "has no status"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("why", UNFIT)
def test_no_control_plane_machine_goes_without_the_word_of_etcd_though_all_nodes_are_ready(
    world: World, why: str
) -> None:
    world.control_plane()
    spoil, words = UNFIT[why]
    spoil(world)
    with pytest.raises(world.agent.failed, match="control-plane-2 cannot go, since etcd") as failure:
        world.leaves(uuid="c2")
    failed: Any = failure.value
    assert words in failed.why
    assert "oc get etcd cluster" in failed.remedy
    assert world.api.changes() == []
    assert world.steps == world.drained() == []


def test_etcd_is_waited_for_while_the_one_before_catches_up(world: World) -> None:
    world.control_plane()
    world.guard(2)
    world.agent.waits("ETCD", 600)
    with meanwhile(lambda: world.guard(3), pause=0.3):
        world.leaves(uuid="c2")
    assert len(world.drained()) == 1


def test_a_control_plane_machine_that_is_down_already_may_be_made_anew(world: World) -> None:
    world.control_plane(ready=False)
    world.etcd(EtcdMembersAvailable="True", EtcdMembersDegraded="True")
    world.guard(2)
    world.leaves(uuid="c2")
    assert len(world.steps) == 2


def test_a_compute_machine_may_go_while_a_control_plane_machine_is_not_ready(world: World) -> None:
    world.api.node("control-plane-1", role="control-plane", uuid="c1", ready=False)
    world.leaves()
    assert len(world.steps) == 2


def test_the_only_machine_is_shut_down_without_a_drain(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (NODE, f"{NODES}/compute-1.{DOMAIN}"):
        del world.api.objects[path]
    world.leaves(name="control-plane-0", fqdn=f"control-plane-0.{DOMAIN}", uuid="c", role="control-plane")
    assert "no other Node takes pods" in capsys.readouterr().out
    assert world.drained() == []
    assert len(world.steps) == 2


def test_a_node_that_the_user_cordoned_is_not_marked_as_ours(world: World) -> None:
    world.api.node("compute-0", uuid=UUID, unschedulable=True)
    world.leaves()
    assert world.api.get(NODE)["metadata"]["annotations"] == {}


def test_an_api_that_falls_silent_halfway_is_told_with_the_way_on(world: World) -> None:
    world.api.refuse["PATCH", NODE] = 503
    with pytest.raises(world.agent.failed, match="does not answer well any more") as failure:
        world.leaves()
    assert f"oc adm uncordon {FQDN}" in failure.value.remedy  # type: ignore[attr-defined]


def test_declared_machines_are_noted_once_and_none_twice(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    path = world.agent.release / "machines.json"
    before = path.stat().st_mtime_ns
    world.declare(world.row)
    assert path.stat().st_mtime_ns == before
    assert "1 declared, the same as before" in capsys.readouterr().out
    with pytest.raises(world.agent.failed, match="the same address"):
        world.declare(world.row, {**world.row, "name": "a", "fqdn": "a", "mac": "b"})
    assert [row.name for row in world.agent.load("installation.declare").read()] == ["compute-0"]
