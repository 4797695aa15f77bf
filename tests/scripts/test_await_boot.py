"""How far a machine has come: logs as nginx, Kea and the boot image write them, read by the agent's own code."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

UUID = "6f2c1a2e-0000-4000-8000-000000000001"
SAID = (
    f"uuid={UUID}&name=bootstrap&hostname=bootstrap.okd.example&address=127.0.0.9&router=192.168.200.254"
    "&dns=192.168.200.254&lookup=ok&ptr=bootstrap.okd.example&ntp=192.168.200.254&offset=-0.3&domain=okd.example"
    "&nextserver=192.168.200.254&bootfile=lpxelinux.0&kernel=&initramfs=initramfs&seconds=5.9"
)


ALL = ("/boot/boot.ipxe", "/images/kernel", "/images/initramfs", "/images/rootfs", "/ignition/bootstrap.ign")


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from okd_host import boot_logs, files
    from okd_host.installation import boots as module

    for name in ("STATE", "SMOKE"):
        monkeypatch.setattr(files, name, str(tmp_path / name.lower()))
    monkeypatch.setattr(module, "BOOTS", str(tmp_path / "state" / "boots"))
    monkeypatch.setattr(boot_logs, "journal", lambda unit, since, lines: [])
    monkeypatch.setattr(module, "original_is_up", module.is_up, raising=False)
    monkeypatch.setattr(module, "is_up", lambda address: False)
    yield module
    for loaded in [name for name in sys.modules if name.split(".")[0] == "okd_host"]:
        del sys.modules[loaded]


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    logs = {"http": "boot.log", "report": "report.log", "leases": "leases.csv"}
    return {
        "name": "bootstrap",
        "mac": "52:54:00:00:00:01",
        "address": "127.0.0.9",
        "uuid": UUID,
        "reportsBack": True,
        "expected": {
            "address": "127.0.0.9",
            "hostname": "bootstrap.okd.example",
            "router": "192.168.200.254",
            "dns": "192.168.200.254",
            "ntp": "192.168.200.254",
            "domain": "okd.example",
            "nextserver": "192.168.200.254",
            "bootfile": {"pxe": "lpxelinux.0", "ipxe": "http://192.168.200.254:8080/boot/boot.ipxe"},
            "kernel": "/images/kernel",
            "initramfs": "/images/initramfs",
            "rootfs": "/images/rootfs",
            "ignition": "/ignition/bootstrap.ign",
        },
        "units": {"dhcp": "kea", "tftp": "tftp", "http": "nginx"},
        "logs": {name: str(tmp_path / file) for name, file in logs.items()},
    }


def request(path: str, uri: str, args: str = "", age: float = 0, address: str = "127.0.0.9") -> None:
    stamp = datetime.fromtimestamp(time.time() - age, UTC).isoformat(timespec="seconds")
    entry = {"time": stamp, "address": address, "method": "GET", "uri": uri, "args": args, "status": 200}
    with open(path, "a") as log:
        log.write(json.dumps(entry) + "\n")


def boot(document: dict[str, Any], said: str = SAID, age: float = 0) -> None:
    for uri in ALL:
        request(document["logs"]["http"], uri, age=age)
    request(document["logs"]["report"], "/report", said, age=age)


def looked(boots: Any, document: dict[str, Any]) -> Any:
    """A boot that was looked at once."""
    boot = boots.Boot(document)
    boot.look()
    return boot


def test_a_machine_that_got_everything_gives_a_green_table(boots: Any, document: dict[str, Any]) -> None:
    boot(document)
    found = looked(boots, document)
    assert found.look().done
    assert found.problems() == []
    assert len([line for line in found.table().splitlines() if line.endswith("| ok")]) == 17


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("hostname=bootstrap.okd.example", "hostname=localhost"),
        ("dns=192.168.200.254", "dns=10.0.0.1"),
        ("lookup=ok", "lookup=failed"),
        ("offset=-0.3", "offset=-46800.5"),
        ("offset=-0.3", "offset=failed"),
        ("ptr=bootstrap.okd.example", "ptr="),
        ("bootfile=lpxelinux.0", "bootfile=grub"),
    ],
)
def test_a_machine_that_got_something_else_names_it(
    boots: Any, document: dict[str, Any], right: str, wrong: str
) -> None:
    assert right in SAID
    boot(document, SAID.replace(right, wrong))
    told = looked(boots, document).problems()
    assert len(told) == 1
    assert (wrong.partition("=")[2] or "nothing") in told[0]


def test_a_machine_is_at_the_first_stage_that_has_not_come(boots: Any, document: dict[str, Any]) -> None:
    found = boots.Boot(document)
    progress = found.look()
    assert (progress.stage, progress.reached, progress.done) == ("lease", "", False)
    seen = []
    for uri in ALL:
        request(document["logs"]["http"], uri)
        seen.append(found.look().stage)
    assert seen == ["kernel", "initramfs", "report", "report", "report"]
    request(document["logs"]["report"], "/report", SAID)
    progress = found.look()
    assert (progress.stage, progress.detail, progress.done) == ("ignition", "/ignition/bootstrap.ign", True)


def test_a_machine_has_been_at_its_stage_since_the_request_for_it(boots: Any, document: dict[str, Any]) -> None:
    request(document["logs"]["http"], "/boot/boot.ipxe", age=90)
    before = time.time()
    request(document["logs"]["http"], "/images/kernel", age=60)
    after = time.time()
    # The log's times are whole seconds.
    assert before - 61 <= boots.Boot(document).look().since <= after - 60


def test_a_boot_image_that_does_not_report_is_done_with_its_ignition_config(
    boots: Any, document: dict[str, Any]
) -> None:
    document["reportsBack"] = False
    for uri in ALL:
        request(document["logs"]["http"], uri)
    found = looked(boots, document)
    assert found.look().done
    assert found.problems() == []
    assert "machine:" not in found.table()


def test_a_stage_that_does_not_come_has_the_last_line_about_the_machine(boots: Any, document: dict[str, Any]) -> None:
    request(document["logs"]["http"], "/boot/boot.ipxe")
    request(document["logs"]["http"], "/images/kernel", address="127.0.0.8")
    found = boots.Boot(document)
    assert found.look().stage == "kernel"
    assert "/boot/boot.ipxe" in found.last_word()


@pytest.mark.parametrize("known", ["a report", "a boot that was followed"])
def test_the_requests_of_an_earlier_machine_at_the_address_do_not_count(
    boots: Any, document: dict[str, Any], known: str
) -> None:
    boot(document, SAID.replace(UUID, "another") if known == "a report" else "", age=3600)
    if known != "a report":
        boots.Boot({**document, "name": "compute-9", "uuid": "another"}).look()
    assert boots.Boot(document).look().stage == "lease"


@pytest.mark.parametrize("reports", [True, False])
def test_an_update_that_was_interrupted_finds_the_boot_that_is_long_over(
    boots: Any, document: dict[str, Any], reports: bool
) -> None:
    document["reportsBack"] = reports
    for uri in ALL:
        request(document["logs"]["http"], uri, age=7200)
    if reports:
        request(document["logs"]["report"], "/report", SAID, age=7200)
    assert boots.Boot(document).look().done


def test_a_machine_that_was_replaced_starts_again(boots: Any, document: dict[str, Any]) -> None:
    boot(document, age=600)
    assert boots.Boot(document).look().done
    document["uuid"] = UUID.replace("6f", "7a")
    assert boots.Boot(document).look().stage == "lease"
    boot(document, SAID.replace(UUID, document["uuid"]))
    assert boots.Boot(document).look().done


def test_without_a_uuid_it_is_the_boot_that_was_followed_last_and_nothing_is_noted(
    boots: Any, document: dict[str, Any], tmp_path: Path
) -> None:
    anybody = {name: value for name, value in document.items() if name != "uuid"}
    assert boots.Boot(anybody).look().stage == "lease"
    assert not (tmp_path / "state").exists()
    boot(document)
    boots.Boot(document).look()
    assert boots.Boot(anybody).look().done


def test_the_smoke_checks_own_leases_are_not_the_machines(boots: Any, document: dict[str, Any]) -> None:
    row = f"127.0.0.9,{document['mac']},,86400,{int(time.time()) + 86400},1,0,0,,0,,0\n"
    Path(document["logs"]["leases"]).write_text("address,hwaddr,client_id,valid_lifetime,expire\n" + row)
    since = time.time() - 60
    assert boots.boot_logs.look(document, since).lease == "127.0.0.9"
    Path(boots.files.SMOKE).touch()
    later = time.time() + 5
    os.utime(boots.files.SMOKE, (later, later))
    assert boots.boot_logs.look(document, since).lease == ""


def test_a_machine_that_ran_before_this_services_host_is_not_waited_for(
    boots: Any, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boots, "is_up", lambda address: True)
    found = looked(boots, document)
    assert found.look().done
    assert found.problems() == []
    assert "since before this services host was built" in found.table()


@pytest.mark.parametrize(("fault", "up"), [(None, True), (ConnectionRefusedError(), True), (TimeoutError(), False)])
def test_a_machine_is_up_when_it_accepts_or_refuses_a_connection(
    boots: Any, monkeypatch: pytest.MonkeyPatch, fault: OSError | None, up: bool
) -> None:
    def connect(*arguments: Any, **options: Any) -> socket.socket:
        if fault:
            raise fault
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert boots.original_is_up("127.0.0.9") is up
