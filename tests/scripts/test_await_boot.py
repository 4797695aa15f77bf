"""Following a network boot: logs as nginx, Kea and the boot image write them, read by the agent's own code."""

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


@pytest.fixture
def await_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from okd_host import await_boot as module
    from okd_host import boot_logs, files

    for name in ("STATE", "SMOKE"):
        monkeypatch.setattr(files, name, str(tmp_path / name.lower()))
    monkeypatch.setattr(module, "BOOTS", str(tmp_path / "state" / "boots"))
    monkeypatch.setattr(module, "POLL", 0.05)
    monkeypatch.setattr(boot_logs, "_journal", lambda unit, since, lines: [])
    monkeypatch.setattr(files, "LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(module, "original_is_up", module._is_up, raising=False)
    monkeypatch.setattr(module, "_is_up", lambda address: False)
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
        "timeoutSeconds": 1,
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
    for uri in ("/boot/boot.ipxe", "/images/kernel", "/images/initramfs"):
        request(document["logs"]["http"], uri, age=age)
    request(document["logs"]["report"], "/report", said, age=age)


def test_a_machine_that_got_everything_gives_a_green_table(
    await_boot: Any, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    boot(document)
    await_boot.main([], document)
    shown = capsys.readouterr().out
    assert "stage 5/5 report" in shown
    assert "FAILED" not in shown
    assert len([line for line in shown.splitlines() if line.endswith("| ok")]) == 15


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
def test_a_machine_that_got_something_else_fails_and_names_it(
    await_boot: Any, document: dict[str, Any], right: str, wrong: str
) -> None:
    assert right in SAID
    boot(document, SAID.replace(right, wrong))
    with pytest.raises(Exception, match="did not get everything") as failure:
        await_boot.main([], document)
    told = failure.value.message.splitlines()  # type: ignore[attr-defined]
    assert len(told) == 1
    assert (wrong.partition("=")[2] or "nothing") in told[0]


def test_a_stage_that_does_not_come_is_named_with_the_last_line_about_the_machine(
    await_boot: Any, document: dict[str, Any]
) -> None:
    request(document["logs"]["http"], "/boot/boot.ipxe")
    with pytest.raises(Exception, match="did not come to this stage within 1 s") as failure:
        await_boot.main([], document)
    assert failure.value.stage == "3/5 kernel"  # type: ignore[attr-defined]
    assert "/boot/boot.ipxe" in failure.value.message  # type: ignore[attr-defined]


def test_the_requests_of_an_earlier_machine_at_the_address_do_not_count(
    await_boot: Any, document: dict[str, Any]
) -> None:
    boot(document, SAID.replace(UUID, "another"), age=3600)
    with pytest.raises(Exception, match="did not come to this stage") as failure:
        await_boot.main([], document)
    assert failure.value.stage == "1/5 lease"  # type: ignore[attr-defined]


def test_an_update_that_was_interrupted_finds_the_boot_that_is_long_over(
    await_boot: Any, document: dict[str, Any]
) -> None:
    document["timeoutSeconds"] = 900
    boot(document, age=7200)
    await_boot.main([], document)


def test_the_smoke_checks_own_leases_are_not_the_machines(await_boot: Any, document: dict[str, Any]) -> None:
    row = f"127.0.0.9,{document['mac']},,86400,{int(time.time()) + 86400},1,0,0,,0,,0\n"
    Path(document["logs"]["leases"]).write_text("address,hwaddr,client_id,valid_lifetime,expire\n" + row)
    since = time.time() - 60
    assert await_boot.boot_logs.look(document, since).lease == "127.0.0.9"
    Path(await_boot.files.SMOKE).touch()
    later = time.time() + 5
    os.utime(await_boot.files.SMOKE, (later, later))
    assert await_boot.boot_logs.look(document, since).lease == ""


def test_a_machine_that_ran_before_this_services_host_is_not_waited_for(
    await_boot: Any, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(await_boot, "_is_up", lambda address: True)
    await_boot.main([], document)
    assert "since before this services host was built" in capsys.readouterr().out


@pytest.mark.parametrize(("fault", "up"), [(None, True), (ConnectionRefusedError(), True), (TimeoutError(), False)])
def test_a_machine_is_up_when_it_accepts_or_refuses_a_connection(
    await_boot: Any, monkeypatch: pytest.MonkeyPatch, fault: OSError | None, up: bool
) -> None:
    def connect(*arguments: Any, **options: Any) -> socket.socket:
        if fault:
            raise fault
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert await_boot.original_is_up("127.0.0.9") is up
