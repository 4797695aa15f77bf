"""Machines without a virtual machine: what answers on SSH, what was asked of it, and the logs of its boot."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.installation.fake_api import DOMAIN


def row(name: str, number: int, role: str = "compute") -> dict[str, Any]:
    """A row of the machine table, as documents have it."""
    address, mac = f"127.0.22.{number}", f"52:54:00:00:00:{number:02x}"
    return {"name": name, "fqdn": f"{name}.{DOMAIN}", "role": role, "address": address, "mac": mac}


BOOTSTRAP = row("bootstrap", 10, "bootstrap")
CONTROL_PLANE = [row(f"control-plane-{number}", 20 + number, "control-plane") for number in range(3)]
COMPUTE = [row(f"compute-{number}", 30 + number) for number in range(2)]
KERNEL_FILES = ("/boot/boot.ipxe", "/images/kernel", "/images/initramfs", "/images/rootfs")


def uuid(machine: dict[str, Any]) -> str:
    return f"6f2c1a2e-0000-4000-8000-0000000000{machine['address'].rpartition('.')[2]}"


def boot_document(machine: dict[str, Any], logs: Path) -> dict[str, Any]:
    """What is known of a machine's boot before it boots."""
    config = {"bootstrap": "bootstrap", "control-plane": "master", "compute": "worker"}[machine["role"]]
    expected = {
        "address": machine["address"],
        "bootfile": {"pxe": "lpxelinux.0", "ipxe": "http://192.168.200.254:8080/boot/boot.ipxe"},
        "kernel": "/images/kernel",
        "initramfs": "/images/initramfs",
        "rootfs": "/images/rootfs",
        "ignition": f"/ignition/{config}.ign",
    }
    return {
        **machine,
        "uuid": uuid(machine),
        "timeoutSeconds": 900,
        "reportsBack": False,
        "expected": expected,
        "units": {"dhcp": "kea", "tftp": "tftp", "http": "nginx"},
        "logs": {name: str(logs / f"{name}.log") for name in ("http", "report", "leases")},
    }


def fetch(document: dict[str, Any], *paths: str) -> None:
    """The machine gets files over HTTP; without any, everything up to its ignition config."""
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    with open(document["logs"]["http"], "a") as log:
        for path in paths or (*KERNEL_FILES, document["expected"]["ignition"]):
            entry = {"time": stamp, "address": document["address"], "uri": path, "args": "", "status": 200}
            log.write(json.dumps(entry) + "\n")


@dataclass
class Machine:
    """One that is on; `journal` answers journalctl, `stays` never goes off.

    Its kubelet's certificates are good for so many days; one that is `mute` does not tell.
    """

    name: str
    hostname: str = ""
    journal: str = "2026-11-21T10:00:00Z bootkube: at work"
    login: bool = True
    on: bool = True
    stays: bool = False
    mute: bool = False
    client_until: float = 30.0
    serving_until: float = 30.0
    asked: list[str] = field(default_factory=list)


class Machines:
    """All machines, by address, in place of `okd_host.installation.shell`'s way to them."""

    def __init__(self, shell: Any, result: Any, rows: list[dict[str, Any]]) -> None:
        self._result = result
        self.known = {one["address"]: Machine(one["name"], one["fqdn"]) for one in rows}
        self.order: list[str] = []
        shell.run, shell.is_off = self.run, self.is_off

    def __getitem__(self, name: str) -> Machine:
        return next(one for one in self.known.values() if one.name == name)

    def run(self, machine: Any, command: str, limit: float = 0, heartbeat: Any = None, **_: Any) -> Any:
        found = self.known[machine.address]
        if not found.on:
            return self._result(255, "ssh: connect to host: No route to host")
        if not found.login:
            return self._result(255, "core@: Permission denied (publickey).")
        found.asked.append(command)
        if command == "hostname":
            return self._result(0, found.hostname)
        if "journalctl" in command:
            return self._result(0, found.journal)
        if command == "sudo systemctl poweroff":
            found.on = found.stays
            self.order.append(found.name)
            return self._result(255, f"Connection to {machine.address} closed by remote host.")
        if "openssl" in command and found.mute:
            return self._result(1, "Could not open file")
        if "openssl" in command:
            ends = [time.gmtime(time.time() + days * 86400) for days in (found.client_until, found.serving_until)]
            text = "".join(f"notAfter={time.strftime('%b %e %H:%M:%S %Y GMT', end)}\n" for end in ends)
            return self._result(0, text)
        assert command == "true", command
        return self._result(0, "")

    def is_off(self, machine: Any, limit: float = 0) -> bool:
        return not self.known[machine.address].on


@pytest.fixture
def machines(agent: Any, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Every machine is on and can be logged in to; waits are short."""
    for module in ("waiting", "shell", "departure"):
        monkeypatch.setattr(agent.load(f"installation.{module}"), "POLL", 0.02)
    for module in ("waiting", "shell"):
        monkeypatch.setattr(agent.load(f"installation.{module}"), "HEARTBEAT", 0.1)
    everything = [BOOTSTRAP, *CONTROL_PLANE, *COMPUTE]
    return Machines(agent.load("installation.shell"), agent.load("commands").Result, everything)


def result(output: str) -> dict[str, Any]:
    """The result that a verb printed."""
    last = output.splitlines()[-1]
    assert last.startswith("result: "), output
    found: dict[str, Any] = json.loads(last.removeprefix("result: "))
    return found


def when_said(agent: Any, monkeypatch: pytest.MonkeyPatch, steps: dict[str, Any]) -> None:
    """Do what belongs to some words once the agent has said them."""
    report = agent.load("report")
    say = report.say

    def say_and_act(line: str) -> None:
        say(line)
        for words in [words for words in steps if words in line]:
            steps.pop(words)()

    monkeypatch.setattr(report, "say", say_and_act)


def later(seconds: float, *work: Any) -> None:
    """Call each of `work`, `seconds` apart, while the test goes on."""
    import threading

    def run() -> None:
        for one in work:
            time.sleep(seconds)
            one()

    threading.Thread(target=run, daemon=True).start()
