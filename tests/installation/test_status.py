"""Looking at a cluster: what every machine is at, quickly, and without changing anything."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.installation import machines as world
from tests.installation.fake_api import DOMAIN, NODES, FakeApi
from tests.installation.machines import BOOTSTRAP, COMPUTE, CONTROL_PLANE, Machines, machines, result
from tests.installation.test_approver import client, pem
from tests.patience import PATIENCE_SECONDS

__all__ = ["machines"]
MACHINES = [BOOTSTRAP, CONTROL_PLANE[0], COMPUTE[0]]
SHOWN = (
    "Id=kea.service\nActiveState=active\nStateChangeTimestampMonotonic=1000000\n\n"
    "Id=nginx.service\nActiveState=failed\nStateChangeTimestampMonotonic=0\n"
)


class Site:
    """A stack whose services run and whose machines are on their way."""

    def __init__(self, agent: Any, api: FakeApi, machines: Machines, place: Path, show: Any) -> None:
        self.agent, self.api, self.machines, self._show = agent, api, machines, show
        self.boots = {row["name"]: world.boot_document(row, place) for row in MACHINES}
        self.systemctl = SHOWN
        self.where = api.where

    def document(self) -> dict[str, Any]:
        without = [{name: one for name, one in boot.items() if name != "uuid"} for boot in self.boots.values()]
        return {"api": self.where, "machines": without, "units": {"dhcp": "kea.service", "http": "nginx.service"}}

    def followed(self, name: str, *paths: str) -> None:
        """A machine was followed by its join, and came to these files."""
        world.fetch(self.boots[name], *paths)
        self.agent.load("installation.boots").Boot(self.boots[name]).look()

    def look(self) -> dict[str, Any]:
        self.agent.load("installation.status").main([], self.document())
        return result(self._show.readouterr().out)

    def machine(self, name: str) -> dict[str, Any]:
        return next(one for one in self.look()["machines"] if one["name"] == name)


@pytest.fixture
def site(
    agent: Any,
    api: FakeApi,
    machines: Machines,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Site:
    made = Site(agent, api, machines, tmp_path, capsys)
    commands = agent.load("commands")
    known = commands.Result
    monkeypatch.setattr(commands, "run", lambda argv, **_: known(0, made.systemctl if "show" in argv else ""))
    monkeypatch.setattr(agent.load("installation.boots"), "is_up", lambda address: False)
    return made


def test_services_with_their_state_and_since_when(site: Site) -> None:
    dhcp, http = site.look()["services"]
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    since = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(booted + 1))
    assert (dhcp["name"], dhcp["state"]) == ("dhcp", "active")
    assert dhcp["since"].startswith(since)
    assert http == {"name": "http", "state": "failed", "since": None}


def test_services_are_unknown_where_systemd_does_not_answer(site: Site) -> None:
    site.systemctl = "Failed to connect to bus"
    assert {one["state"] for one in site.look()["services"]} == {"unknown"}


def test_a_machine_on_its_way_is_at_the_stage_that_its_join_waits_for(site: Site) -> None:
    site.followed("compute-0", "/boot/boot.ipxe", "/images/kernel")
    found = site.machine("compute-0")
    assert (found["stage"], found["role"]) == ("initramfs", "compute")
    assert found["detail"] == "/images/kernel"
    assert found["since"].startswith(time.strftime("%Y-%m-%dT", time.gmtime()))


def test_a_machine_that_was_installed_joins(site: Site) -> None:
    site.followed("compute-0")
    site.followed("bootstrap")
    assert site.machine("compute-0")["stage"] == "joining"
    assert site.machine("bootstrap")["detail"] == "builds the control plane"


@pytest.mark.parametrize(
    ("ready", "on", "stage"),
    [(True, True, "Ready"), (False, True, "NotReady"), (None, True, "NotReady"), (None, False, "off")],
)
def test_a_node_tells_for_its_machine(site: Site, ready: bool | None, on: bool, stage: str) -> None:
    site.api.node("compute-0", ready=ready, message="from the kubelet")
    site.machines["compute-0"].on = on
    with site.api.change(f"{NODES}/compute-0.{DOMAIN}") as node:
        node["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-21T10:00:00Z"
    found = site.machine("compute-0")
    assert (found["stage"], found["since"]) == (stage, "2026-11-21T10:00:00Z")
    assert ready or "from the kubelet" in found["detail"]


def test_a_node_that_merely_reads_ready_is_not_shown_as_ready(site: Site) -> None:
    site.api.node("compute-0")
    site.api.lease("compute-0", age=3600)
    found = site.machine("compute-0")
    assert found["stage"] == "NotReady"
    assert f"has not reported since {found['since']}" in found["detail"]


def test_a_cordoned_node_is_said_to_be(site: Site) -> None:
    site.api.node("compute-0", unschedulable=True)
    assert site.machine("compute-0")["detail"] == "takes no new pods"


def test_a_machine_that_was_never_on_is_off(site: Site) -> None:
    site.machines["compute-0"].on = False
    assert site.machine("compute-0") == {
        "name": "compute-0",
        "role": "compute",
        "stage": "off",
        "since": None,
        "detail": "",
    }


def test_a_machine_that_is_up_without_a_trace_is_unknown(site: Site) -> None:
    assert site.machine("compute-0")["stage"] == "unknown"


def test_the_cluster_with_version_operators_and_requests(site: Site) -> None:
    site.api.cluster_version("4.19.0", message="Cluster version is 4.19.0", Progressing=True)
    site.api.operator("etcd")
    site.api.operator("ingress", available=False)
    site.api.request("pending", **client(pem()))
    site.api.request("decided", **client(pem()))
    with site.api.change("/apis/certificates.k8s.io/v1/certificatesigningrequests/decided") as request:
        request["status"]["conditions"] = [{"type": "Approved", "reason": ""}]
    found = site.look()
    assert found["cluster"] == {
        "api": True,
        "version": "4.19.0",
        "available": True,
        "progressing": True,
        "operators": "1/2",
        "message": "Cluster version is 4.19.0",
    }
    assert [one["name"] for one in found["requests"]] == ["pending"]
    assert found["requests"][0]["requester"].endswith("node-bootstrapper")


def test_a_silent_api_is_no_failure(site: Site) -> None:
    site.followed("compute-0")
    site.api.stop()
    found = site.look()
    assert found["cluster"]["api"] is False
    assert found["machines"][2]["detail"] == "the API does not answer"


def test_before_anything_was_made_there_is_nothing_to_tell(site: Site, agent: Any) -> None:
    (agent.release / "install").rename(agent.release / "elsewhere")
    found = site.look()
    assert (found["mirror"], found["ignition"], found["cluster"]["api"]) == (None, None, False)


def test_mirror_and_ignition_configs_are_told(site: Site, agent: Any) -> None:
    record = {"version": "4.19.0", "images": [{}, {}], "extra": [{}]}
    (agent.release / "mirror.json").write_text(json.dumps(record))
    found = site.look()
    assert found["mirror"] == {"version": "4.19.0", "images": 3, "verifiedAt": found["mirror"]["verifiedAt"]}
    assert found["mirror"]["verifiedAt"].endswith("Z")
    assert found["ignition"]["installed"] is False
    assert found["ignition"]["expiry"].endswith("Z")


def test_nothing_is_changed(site: Site, agent: Any) -> None:
    site.followed("compute-0", "/boot/boot.ipxe")
    site.api.request("pending", **client(pem()))
    before = {path: path.read_bytes() for path in agent.root.rglob("*") if path.is_file()}
    site.look()
    assert {path: path.read_bytes() for path in agent.root.rglob("*") if path.is_file()} == before
    assert site.api.changes() == []


def test_it_asks_everybody_at_once_and_so_takes_no_longer_than_the_longest_silence(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each machine and the API: nobody answers before all of them were asked.
    everybody = threading.Barrier(len(MACHINES) + 1)

    def is_off(row: Any, limit: float) -> bool:
        everybody.wait(PATIENCE_SECONDS)
        return True

    def take(server: socket.socket) -> None:
        connection, _ = server.accept()
        everybody.wait(PATIENCE_SECONDS)
        server.close()
        connection.close()

    monkeypatch.setattr(site.agent.load("installation.shell"), "is_off", is_off)
    site.agent.waits("STATUS_API", 2 * PATIENCE_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        site.where["url"] = f"https://api.{DOMAIN}:{server.getsockname()[1]}"
        taking = threading.Thread(target=take, args=(server,), daemon=True)
        taking.start()
        found = site.look()
        taking.join()
    assert {one["stage"] for one in found["machines"]} == {"off"}
    assert found["cluster"]["api"] is False
