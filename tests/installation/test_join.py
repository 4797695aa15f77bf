"""A machine joins: followed by logs and by its Node, let in by its own requests, named where it stops."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.installation.conftest import Agent
from tests.installation.fake_api import DOMAIN, LEASES, NODES, REQUESTS, FakeApi
from tests.installation.test_approver import client, pem, serving

UUID = "6f2c1a2e-0000-4000-8000-000000000020"
ADDRESS = "192.168.200.20"
FQDN = f"compute-0.{DOMAIN}"
NODE = f"{NODES}/{FQDN}"
BOOT = ("/boot/boot.ipxe", "/images/kernel", "/images/initramfs", "/images/rootfs", "/ignition/worker.ign")
SESSION = (
    f"{ADDRESS}:40022 [21/Nov/2026:10:00:00.123] machine-config machine-config/control-plane-1 1/0/812 9123 -- "
    "3/1/0/0/0 0/0"
)
NO_SERVER = (
    f"{ADDRESS}:40022 [21/Nov/2026:10:00:00.123] machine-config machine-config/<NOSRV> -1/-1/0 0 SC 3/1/0/0/0 0/0"
)


class World:
    """What the services host's logs, the machine's shell and the cluster tell of compute-0."""

    def __init__(self, agent: Agent, api: FakeApi, root: Path) -> None:
        self.agent, self.api = agent, api
        self.log = root / "boot.log"
        self.journals: dict[str, list[str]] = {"haproxy.service": []}
        self.serving = True
        self.words = "compute-0 gives no journal over SSH: no route to host"
        self.document: dict[str, Any] = {
            "api": api.where,
            "limitMinutes": 0.02,
            "consoleLog": "/var/log/libvirt/qemu/okd-dev-compute-0.console.log",
            "machine": {
                "name": "compute-0",
                "fqdn": FQDN,
                "role": "compute",
                "mac": "52:54:00:00:00:20",
                "address": ADDRESS,
                "uuid": UUID,
                "reportsBack": False,
                "expected": {
                    "address": ADDRESS,
                    "bootfile": {"pxe": "lpxelinux.0", "ipxe": "http://192.168.200.254:8080/boot/boot.ipxe"},
                    "kernel": "/images/kernel",
                    "initramfs": "/images/initramfs",
                    "rootfs": "/images/rootfs",
                    "ignition": "/ignition/worker.ign",
                },
                "units": {"dhcp": "kea.service", "tftp": "tftp.service", "http": "nginx.service"},
                "logs": {
                    "http": str(self.log),
                    "report": str(root / "report.log"),
                    "leases": str(root / "leases.csv"),
                },
            },
        }

    def boots(self, paths: tuple[str, ...] = BOOT) -> None:
        with self.log.open("a") as log:
            for uri in paths:
                moment = datetime.now(UTC).isoformat(timespec="seconds")
                log.write(
                    json.dumps({"time": moment, "address": ADDRESS, "uri": uri, "args": "", "status": 200}) + "\n"
                )

    def asks(self, kind: str = "client") -> None:
        self.api.request(f"csr-{kind}", **(client() if kind == "client" else serving()))

    def lives(self) -> None:
        """From now on the machine does what a kubelet does when something is approved."""

        def then(method: str, path: str) -> None:
            if method != "PUT":
                return
            if path == f"{REQUESTS}/csr-client/approval":
                self.api.node("compute-0", uuid=UUID.upper(), ready=False)
                self.asks("serving")
            elif path == f"{REQUESTS}/csr-serving/approval":
                self.api.node("compute-0", uuid=UUID, ready=True)

        self.api.after.append(then)

    def joins(self) -> None:
        self.agent.load("installation.join").main([], self.document)


@pytest.fixture
def world(agent: Agent, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(agent, api, tmp_path)
    waiting, logs, shell = (agent.load(name) for name in ("installation.waiting", "boot_logs", "installation.shell"))
    monkeypatch.setattr(waiting, "POLL", 0.02)
    monkeypatch.setattr(logs, "journal", lambda unit, since, lines: made.journals.get(unit, []))
    monkeypatch.setattr(shell, "last_line", lambda row, *units: made.words)
    monkeypatch.setattr(agent.load("installation.boots"), "is_up", lambda address: False)
    says = {True: "its kubelet serves", False: "its kubelet has no serving certificate yet"}
    kubelet = agent.load("installation.kubelet")
    monkeypatch.setattr(kubelet, "serves", lambda address: (made.serving, says[made.serving]))
    return made


@contextmanager
def meanwhile(*steps: Callable[[], None], pause: float = 0.1) -> Iterator[None]:
    """Do one step after the other beside what is under test."""

    def act() -> None:
        for step in steps:
            time.sleep(pause)
            step()

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def result(shown: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown.rstrip().splitlines()[-1].removeprefix("result: "))
    return found


def test_a_machine_is_followed_from_its_lease_until_it_is_ready(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.document["limitMinutes"] = 10
    world.lives()
    with meanwhile(world.boots, lambda: world.journals["haproxy.service"].append(SESSION), world.asks):
        world.joins()
    shown = capsys.readouterr().out
    stages = [line for line in shown.splitlines() if line.startswith("stage ")]
    assert [line.split(":")[0] for line in stages] == [
        "stage 1/6 boot",
        "stage 2/6 machine config",
        "stage 3/6 certificates",
        "stage 4/6 ready",
        "stage 5/6 role",
        "stage 6/6 serving",
    ]
    assert "control-plane-1" in stages[1]
    assert any(line.startswith("ignition ") and line.endswith("| ok") for line in shown.splitlines())
    assert world.api.approval("csr-client") == world.api.approval("csr-serving") == "Approved OkdLibvirtApproved"
    assert result(shown) == {"ready": True, "node": FQDN, "left": []}


def test_a_machine_that_is_ready_already_takes_two_requests(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.api.node("compute-0", uuid=UUID)
    world.joins()
    assert world.api.asked == [("GET", NODE), ("GET", f"{LEASES}/{FQDN}")]
    assert result(capsys.readouterr().out)["ready"] is True


def test_a_ready_node_on_another_machine_is_not_this_machine(world: World) -> None:
    world.api.node("compute-0", uuid=UUID.replace("6f", "7a"))
    with pytest.raises(world.agent.failed, match="did not get past: lease"):
        world.joins()


def test_a_machine_that_was_rebuilt_takes_over_its_node_and_takes_pods_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.document["limitMinutes"] = 10
    world.api.node("compute-0", uuid="old", boot="b1", unschedulable=True)
    with world.api.change(NODE) as node:
        node["metadata"]["annotations"] = {"okd-libvirt/cordoned": "leave b1"}
    world.boots()

    def back() -> None:
        with world.api.change(NODE) as node:
            node["status"]["nodeInfo"] |= {"systemUUID": UUID, "bootID": "b2"}

    with meanwhile(back):
        world.joins()
    node = world.api.get(NODE)
    assert "unschedulable" not in node["spec"]
    assert node["metadata"]["annotations"] == {}
    assert "takes pods again" in capsys.readouterr().out


def test_a_machine_that_was_shut_down_is_not_ready_before_its_next_boot(world: World) -> None:
    world.api.node("compute-0", uuid=UUID, boot="b1", unschedulable=True)
    with world.api.change(NODE) as node:
        node["metadata"]["annotations"] = {"okd-libvirt/cordoned": "leave b1"}
    with pytest.raises(world.agent.failed, match="did not get past: ready"):
        world.joins()
    assert world.api.get(NODE)["spec"] == {"unschedulable": True}


@pytest.mark.parametrize("annotations", [{}, {"okd-libvirt/cordoned": "off b0"}])
def test_what_somebody_else_cordoned_stays_cordoned(world: World, annotations: dict[str, str]) -> None:
    world.document["limitMinutes"] = 10
    world.api.node("compute-0", uuid=UUID, ready=False, unschedulable=True)
    with world.api.change(NODE) as node:
        node["metadata"]["annotations"] = annotations

    def ready() -> None:
        with world.api.change(NODE) as node:
            node["status"]["conditions"][0]["status"] = "True"

    with meanwhile(ready):
        world.joins()
    assert world.api.get(NODE)["spec"] == {"unschedulable": True}


def test_a_run_that_was_killed_goes_on_where_it_was(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.document["limitMinutes"] = 10
    world.api.node("compute-0", uuid=UUID, ready=False)
    world.lives()
    world.asks("serving")
    world.joins()
    assert "stage 1/6 boot: it has asked for its certificates already" in capsys.readouterr().out


def test_the_request_of_another_machine_is_left_to_its_own_run_and_a_foreign_one_to_the_reader(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**world.document["machine"], "name": "compute-1", "fqdn": f"compute-1.{DOMAIN}"}]
    rows[0] |= {"address": "192.168.200.21", "mac": "52:54:00:00:00:21"}
    world.agent.load("installation.declare").main([], {"machines": rows})
    world.document["limitMinutes"] = 10
    world.api.request("csr-other", **client(pem(f"system:node:compute-1.{DOMAIN}")))
    world.api.request("csr-evil", **client(pem("system:node:evil")))
    world.lives()
    world.asks()
    world.joins()
    assert world.api.approval("csr-other") == world.api.approval("csr-evil") == ""
    left = result(capsys.readouterr().out)["left"]
    assert [one["name"] for one in left] == ["csr-evil"]


def test_an_api_that_is_silent_for_a_while_is_no_failure(world: World) -> None:
    world.document["limitMinutes"] = 10
    world.boots()
    world.lives()
    world.asks()
    world.api.stop()
    with meanwhile(world.api.start, pause=0.5):
        world.joins()


def test_a_serving_request_that_comes_after_ready_is_waited_for_and_approved(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.document["limitMinutes"] = 10
    world.serving = False
    world.api.node("compute-0", uuid=UUID)

    def then(method: str, path: str) -> None:
        world.serving = world.serving or path == f"{REQUESTS}/csr-serving/approval"

    world.api.after.append(then)
    with meanwhile(lambda: world.asks("serving"), pause=0.3):
        world.joins()
    assert world.api.approval("csr-serving") == "Approved OkdLibvirtApproved"
    assert "stage 6/6 serving: its kubelet serves" in capsys.readouterr().out


def test_a_machine_whose_kubelet_never_serves_is_named(world: World) -> None:
    world.api.node("compute-0", uuid=UUID)
    world.serving = False
    with pytest.raises(world.agent.failed, match=r"did not get past: serving.*no serving certificate yet") as failure:
        world.joins()
    assert "oc get csr" in failure.value.remedy  # type: ignore[attr-defined]


def test_a_machine_that_got_something_else_fails_at_once(world: World) -> None:
    world.document["limitMinutes"] = 10
    world.boots()
    world.document["machine"]["expected"]["kernel"] = "/images/other"
    world.document["machine"]["reportsBack"] = True
    said = f"uuid={UUID}&address={ADDRESS}&hostname=localhost&lookup=ok&offset=-259200.1"
    expected = world.document["machine"]["expected"]
    expected |= {
        "hostname": FQDN,
        "router": "",
        "dns": "",
        "ntp": "",
        "domain": "",
        "nextserver": "",
        "kernel": BOOT[1],
    }
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"time": moment, "address": ADDRESS, "uri": "/report", "args": said, "status": 200}
    Path(world.document["machine"]["logs"]["report"]).write_text(json.dumps(entry))
    with pytest.raises(world.agent.failed, match="did not get everything it must get") as failure:
        world.joins()
    assert "machine: time offset: -259200.1 s instead of below 2 s" in failure.value.message  # type: ignore[attr-defined]
    assert world.document["consoleLog"] in failure.value.remedy  # type: ignore[attr-defined]


LATE: dict[str, tuple[Callable[[World], None], str, str]] = {
    "lease": (lambda world: None, "logged nothing of 52:54:00:00:00:20", "MAC of the table"),
    "kernel": (lambda world: world.boots(BOOT[:1]), "/boot/boot.ipxe", "boot image is published"),
    "rootfs": (lambda world: world.boots(BOOT[:3]), "/images/initramfs", "memory enough"),
    "ignition": (lambda world: world.boots(BOOT[:4]), "/images/rootfs", "okd-host ignition-status"),
    "machine config": (
        lambda world: (world.boots(), world.journals["haproxy.service"].append(NO_SERVER)),  # type: ignore[dict-item]
        "machine-config/<NOSRV>",
        "right time",
    ),
    "certificates": (
        lambda world: (world.boots(), world.journals["haproxy.service"].append(SESSION)),  # type: ignore[dict-item]
        "machine-config/control-plane-1",
        "oc adm certificate approve",
    ),
    "ready": (
        lambda world: world.api.node("compute-0", uuid=UUID, ready=False, message="no CNI configuration file"),  # type: ignore[dict-item]
        "compute-0 gives no journal",
        "oc describe node",
    ),
}


@pytest.mark.parametrize("stage", LATE)
def test_a_machine_that_stops_halfway_is_named_with_stage_last_words_and_remedy(world: World, stage: str) -> None:
    arrange, words, remedy = LATE[stage]
    arrange(world)
    with pytest.raises(world.agent.failed, match=f"compute-0 did not get past: {stage}; not within 0.02") as failure:
        world.joins()
    failed: Any = failure.value
    assert words in failed.message
    assert remedy in failed.remedy
    assert world.document["consoleLog"] in failed.remedy
    assert failed.stage.startswith(("1/6", "2/6", "3/6", "4/6"))


def test_the_machines_own_last_words_are_told_when_it_answers(world: World) -> None:
    world.boots()
    world.words = "2026-11-24T10:00:00Z ignition: GET https://api-int:22623: x509: certificate has expired"
    with pytest.raises(world.agent.failed, match="machine config") as failure:
        world.joins()
    assert world.words in failure.value.message  # type: ignore[attr-defined]
    assert "haproxy.service logged no session of 192.168.200.20" in failure.value.message  # type: ignore[attr-defined]


def test_requests_that_were_left_are_told_when_a_machine_does_not_get_in(world: World) -> None:
    world.boots()
    world.journals["haproxy.service"].append(SESSION)
    world.api.request("csr-bad", **client(pem(organizations=["system:masters"])))
    with pytest.raises(world.agent.failed, match="certificates") as failure:
        world.joins()
    assert "left csr-bad" in failure.value.message  # type: ignore[attr-defined]
    assert "organizations" in failure.value.message  # type: ignore[attr-defined]


def test_without_credentials_the_silence_is_explained(world: World) -> None:
    world.boots()
    world.journals["haproxy.service"].append(SESSION)
    (world.agent.release / "install").rename(world.agent.release / "elsewhere")
    with pytest.raises(world.agent.failed, match="no credentials of a cluster on this host"):
        world.joins()


def test_a_node_that_merely_reads_ready_is_not_there_yet(world: World) -> None:
    world.api.node("compute-0", uuid=UUID)
    world.api.lease("compute-0", age=3600)
    with pytest.raises(world.agent.failed, match="it reads Ready, but its kubelet has not reported since"):
        world.joins()
    world.document["limitMinutes"] = 10
    with meanwhile(lambda: world.api.lease("compute-0") and None):
        world.joins()
