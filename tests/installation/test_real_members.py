"""Machines join and leave a miniature cluster: the agent against its API, with the release's own `oc`."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import release
from tests.installation.conftest import Agent
from tests.node import processes

pytestmark = pytest.mark.release

LEFT = "okd-libvirt/cordoned"


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Cluster]:
    """One control-plane and two compute machines, at the very beginning."""
    with processes.cluster(tmp_path_factory.mktemp("cluster"), control_plane=1, compute=2) as made:
        made.begin()
        yield made


@pytest.fixture
def host(agent: Agent, machines: processes.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """The services host of that cluster: its set, its tools, its declared machines."""
    shutil.copytree(machines.set, agent.release / "install")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "oc").symlink_to(release.oc())
    monkeypatch.setattr(agent.load("installation.leave"), "BIN", str(tmp_path / "bin"))
    monkeypatch.setattr(agent.load("boot_logs"), "journal", lambda unit, since, lines: [])
    declare(agent, machines, *machines.machines)
    return agent


def declare(agent: Agent, machines: processes.Cluster, *names: str) -> None:
    rows = [machines.machines[name].row for name in names]
    agent.load("installation.declare").main([], {"machines": rows})


def document(machines: processes.Cluster, name: str, tmp_path: Path) -> dict[str, Any]:
    machine = machines.machines[name]
    logs = {log: str(tmp_path / f"no-{log}") for log in ("http", "report", "leases")}
    files = {"kernel": "/k", "initramfs": "/i", "bootfile": {"pxe": "p", "ipxe": "http://x/y"}}
    boot = {
        **machine.row,
        "uuid": machine.uuid,
        "reportsBack": False,
        "expected": {"address": machine.address, **files},
        "units": {"dhcp": "d", "tftp": "t", "http": "h"},
        "logs": logs,
    }
    return {"api": machines.api, "machine": boot, "limitMinutes": 30, "drainMinutes": 10}


def result(shown: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown.rstrip().splitlines()[-1].removeprefix("result: "))
    return found


def test_machines_become_ready_by_the_approval_of_their_own_requests_alone(
    host: Agent, machines: processes.Cluster, tmp_path: Path
) -> None:
    declare(host, machines, "control-plane-0", "compute-0")
    join = host.load("installation.join")
    errors: list[BaseException] = []

    def run(name: str) -> None:
        try:
            join.main([], document(machines, name, tmp_path))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("control-plane-0", "compute-0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, (errors, getattr(errors[0], "message", ""), machines.last_words())
    assert machines.ready() == {"control-plane-0", "compute-0"}
    requests = machines.objects("csr")
    conditions = {one["metadata"]["name"]: one["status"].get("conditions") for one in requests}
    approved = [rows[0]["reason"] for rows in conditions.values() if rows]
    assert set(approved) == {"OkdLibvirtApproved"}
    assert len(approved) >= 4


def test_a_machine_that_is_declared_later_joins_a_running_cluster(
    host: Agent, machines: processes.Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.load("installation.join").main([], document(machines, "compute-1", tmp_path))
    assert "compute-1" in machines.ready()
    assert result(capsys.readouterr().out)["left"] == []


def test_the_running_cluster_says_what_new_machines_join_with(
    host: Agent, machines: processes.Cluster, tmp_path: Path
) -> None:
    worker = host.load("installation.worker_config")
    found = worker._clusters(host.load("installation.api").Api.of(machines.api))
    assert json.loads(found["worker.ign"]) == json.loads((machines.set / "worker.ign").read_text())


def test_a_machine_that_is_made_anew_leaves_and_takes_pods_again_afterwards(
    host: Agent, machines: processes.Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = document(machines, "compute-1", tmp_path)
    # A node that has just become Ready gets its first pod a moment later.
    on_it = f"spec.nodeName={machines.machines['compute-1'].fqdn}"
    machines.until("a pod on compute-1", lambda: machines.objects("pods", "-A", f"--field-selector={on_it}"))
    host.load("installation.leave").main([], asked)
    shown = capsys.readouterr().out
    assert re.search(r"stage 3/5 drain: pods evicted: [1-9]", shown)
    assert result(shown) == {"removed": False}
    machine = machines.machines["compute-1"]
    node = json.loads(machines.oc("get", "node", machine.fqdn, "-o", "json"))
    assert node["spec"]["unschedulable"] is True
    assert node["metadata"]["annotations"][LEFT].startswith("leave ")
    machines.power_off("compute-1")
    shutil.rmtree(machine.root)
    machine.uuid = machine.uuid[:-4] + "beef"
    # Processes of one kernel share its boot: what a reboot would change is changed by hand.
    machines.oc("annotate", "node", machine.fqdn, "--overwrite", f"{LEFT}=leave the-boot-before")
    machines.start("compute-1")
    host.load("installation.join").main([], document(machines, "compute-1", tmp_path))
    node = json.loads(machines.oc("get", "node", machine.fqdn, "-o", "json"))
    assert "unschedulable" not in node["spec"]
    assert LEFT not in node["metadata"].get("annotations", {})


def test_a_machine_that_is_not_declared_any_more_is_gone_from_the_cluster(
    host: Agent, machines: processes.Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, machines, "control-plane-0", "compute-0")
    host.load("installation.leave").main([], document(machines, "compute-1", tmp_path))
    machines.power_off("compute-1")
    assert result(capsys.readouterr().out) == {"removed": True}
    assert machines.ready() == {"control-plane-0", "compute-0"}
    assert len(machines.objects("nodes")) == 2
