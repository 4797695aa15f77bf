"""An installation from its first machine to its last operator, and its power: the agent against a miniature cluster."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installation import machines as world
from tests.installation.conftest import Agent
from tests.installation.test_gather import texts
from tests.node import processes

pytestmark = pytest.mark.release


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Cluster]:
    """Three control-plane machines and one compute machine, none of them started."""
    with processes.cluster(tmp_path_factory.mktemp("cluster"), control_plane=3, compute=1) as made:
        yield made


class Host:
    """The services host of that cluster. A process that is told to switch itself off is ended."""

    def __init__(self, agent: Agent, machines: processes.Cluster, place: Path) -> None:
        self.agent, self.machines = agent, machines
        self.boots = {name: world.boot_document(one.row, place) for name, one in machines.machines.items()}
        for name, one in machines.machines.items():
            self.boots[name]["uuid"] = one.uuid
            world.fetch(self.boots[name])
        # Tests share a cluster, and each has an agent of its own: the data volume is kept.
        kept = machines.directory / "data-volume"
        if not kept.exists():
            shutil.copytree(machines.set, kept / "install")
        agent.release.parent.mkdir(parents=True)
        agent.release.symlink_to(kept)
        shell = agent.load("installation.shell")
        self.result = agent.load("commands").Result
        shell.run, shell.is_off = self.shell, lambda row, limit=0: self.of(row).process is None

    def of(self, row: Any) -> processes.Machine:
        return next(one for one in self.machines.machines.values() if one.address == row.address)

    def shell(self, row: Any, command: str, limit: float = 0, heartbeat: Any = None, **_: Any) -> Any:
        machine = self.of(row)
        if machine.process is None:
            return self.result(255, "No route to host")
        if command == "hostname":
            return self.result(0, machine.fqdn)
        if command == "sudo systemctl poweroff":
            if row.role == "bootstrap":
                assert self.machines.member_removed()
            self.machines.power_off(machine.name)
            return self.result(255, f"Connection to {row.address} closed by remote host.")
        if "openssl" in command:
            here = command.replace("sudo ", "").replace(" /var/lib/", f" {machine.root}/var/lib/")
            done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=False)
            return self.result(done.returncode, done.stdout + done.stderr)
        assert "journalctl" in command
        return self.result(0, machine.log())

    def rows(self, *roles: str) -> list[dict[str, Any]]:
        return [one.row for one in self.machines.of_role(*roles)]

    def run(self, verb: str, **document: Any) -> None:
        self.agent.load(f"installation.{verb}").main([], {"api": self.machines.api, **document})

    def power(self) -> dict[str, Any]:
        return {"machines": self.rows("control-plane", "compute"), "limitMinutes": 30}


@pytest.fixture
def host(agent: Agent, machines: processes.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(agent, machines, tmp_path)
    monkeypatch.setattr(agent.load("boot_logs"), "journal", lambda unit, since, lines: [])
    made.run("declare", machines=made.rows("control-plane", "compute"))
    return made


def joined(host: Host, name: str) -> threading.Thread:
    """Follow one machine at the same time, as the program does."""
    document = {"machine": host.boots[name], "limitMinutes": 30}
    thread = threading.Thread(target=host.run, args=("join",), kwargs=document)
    thread.start()
    return thread


def test_the_bootstrap_is_waited_for_until_the_real_cluster_says_so(
    host: Host, machines: processes.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.begin()
    control_plane = [host.boots[row["name"]] for row in host.rows("control-plane")]
    limits = dict.fromkeys(("bootMinutes", "apiMinutes", "bootstrapMinutes"), 30)
    host.run("bootstrap", bootstrap=host.boots["bootstrap"], controlPlane=control_plane, limits=limits)
    assert world.result(capsys.readouterr().out)["complete"] is True
    assert machines.bootstrap_complete()
    assert machines.ready() == {f"control-plane-{number}" for number in range(3)}


def test_the_control_plane_does_without_it(host: Host, machines: processes.Cluster) -> None:
    delivered: list[Any] = []
    host.agent.load("installation.departure").deliver.main = lambda arguments, document: delivered.append(document)
    host.run(
        "departure",
        bootstrap=host.boots["bootstrap"],
        controlPlane=host.rows("control-plane"),
        loadBalancer={"socket": str(machines.directory / "no-socket"), "backends": ["api", "machine-config"]},
        bundle={"service": "load-balancer"},
        powerOff=True,
        limitMinutes=30,
    )
    assert delivered
    assert machines.machines["bootstrap"].process is None
    assert len(machines.ready()) == 3


def test_the_installation_is_waited_for_until_the_real_cluster_is_available(
    host: Host, machines: processes.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    compute = joined(host, "compute-0")
    hub = {"disableAllDefaultSources": True}
    host.run("install", machines=host.rows("control-plane"), limitMinutes=30, operatorHub=hub)
    compute.join()
    shown = capsys.readouterr().out
    assert machines.available()
    assert processes.VERSION in shown
    assert "disableAllDefaultSources" in machines.oc("get", "operatorhub", "cluster", "-o", "yaml")
    assert (host.agent.release / "install" / "installed").exists()


def test_its_status_is_told(host: Host, machines: processes.Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    boots = [{name: one for name, one in boot.items() if name != "uuid"} for boot in host.boots.values()]
    host.run("status", machines=boots, units={})
    found = world.result(capsys.readouterr().out)
    stages = {one["name"]: one["stage"] for one in found["machines"]}
    assert stages.pop("bootstrap") == "off"
    assert set(stages.values()) == {"Ready"}
    assert all(one["since"] for one in found["machines"] if one["name"] != "bootstrap")
    assert found["cluster"]["available"] is True
    ready, total = found["cluster"]["operators"].split("/")
    assert ready == total != "0"
    assert found["requests"] == []


def test_everything_is_gathered(host: Host, machines: processes.Cluster) -> None:
    gather = host.agent.load("installation.gather")
    rows = host.rows("bootstrap", "control-plane", "compute")
    path, answered = gather.collect({"api": machines.api, "machines": rows, "units": {}, "logs": []})
    inside = texts(path)
    assert answered == [row["name"] for row in rows if row["role"] != "bootstrap"]
    assert not [name for name in ("nodes", "events", "bootstrap") if f"cluster/{name}.json" not in inside]
    assert inside["problems.txt"].splitlines() == ["bootstrap: No route to host"]
    assert "PRIVATE KEY" not in "".join(inside.values())


def test_the_whole_cluster_is_stopped_and_started(
    host: Host, machines: processes.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    host.run("stop", **host.power())
    assert all(one.process is None for one in machines.machines.values())
    shown = capsys.readouterr().out
    assert "start the cluster before" in shown
    assert "kubelet's client certificate, of 4 machines" in shown
    assert "kubelet's serving certificate, of 4 machines" in shown
    assert "authority of API servers towards kubelets" in shown
    assert "nothing tells" not in shown
    for row in host.rows("control-plane", "compute"):
        machines.start(row["name"])
    host.run("start", **host.power())
    found = world.result(capsys.readouterr().out)
    assert found["ready"] == 4
    assert len(found["uncordoned"]) == 4
    assert len(machines.ready()) == 4
    machines.until("the cluster available again", machines.available)


def test_a_cluster_whose_client_certificates_ran_out_while_it_was_off_comes_back_by_itself(
    host: Host, machines: processes.Cluster
) -> None:
    """Its Nodes read Ready out of etcd, while their kubelets ask for certificates anew."""
    names = [row["name"] for row in host.rows("control-plane", "compute")]
    before = {row["metadata"]["name"] for row in machines.objects("csr")}
    machines.power_off()
    for name in names:
        (machines.machines[name].root / "var/lib/miniature/kubelet/pki/kubelet-client.json").unlink()
    # Longer than the cluster's own grace for a kubelet.
    time.sleep(45)
    for name in names:
        machines.start(name)
    host.run("start", **host.power())
    assert len(machines.ready()) == 4
    fresh = [row for row in machines.objects("csr") if row["metadata"]["name"] not in before]
    assert len(fresh) == 4
    assert all(row["status"]["conditions"][0]["reason"] == "OkdLibvirtApproved" for row in fresh)
