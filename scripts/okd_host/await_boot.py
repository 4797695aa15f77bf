"""await-boot: follow one machine through its network boot, and compare what it got with what it must get.

Document: {"name", "mac", "address", "uuid" (the domain's, which the machine reads from its firmware), "timeoutSeconds",
"reportsBack" (the boot image answers the kernel argument okd.report), "expected": {"address", "hostname", "router",
"dns", "ntp", "domain", "nextserver", "bootfile": {"pxe", "ipxe"}, "kernel", "initramfs" (paths under the HTTP root)},
"units": {"dhcp", "tftp", "http"}, "logs": {"http", "report", "leases"}}.

Stages: lease, boot file, kernel, initramfs, report; the first four are what the services' own logs tell, the last is
the machine's word. Prints a table `what | expected | got | result`; fails when a stage does not come in time, naming
the last related log line, or when a row differs. May be run again after the machine has booted.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from okd_host import boot_logs, files, report

STAGES = ("lease", "boot file", "kernel", "initramfs", "report")
BOOTS = os.path.join(files.STATE, "boots")
# A machine may have started this long before it is looked for the first time.
HEAD_START = 120.0
# A guest's clock starts on a whole second, and an emulated guest is late on top.
MAX_OFFSET = 2.0
POLL = 1.0
HEARTBEAT = 10.0


def _since(document: dict[str, Any]) -> float | None:
    """From when on the logs tell of this boot: kept by the domain's UUID, so that a second run sees the same.

    A machine that has reported before it is looked for, since the update was interrupted, has booted before its report.
    None when the machine is up and has asked for nothing here: it booted when this services host was not there.
    """
    path = os.path.join(BOOTS, document["name"])
    entry: dict[str, Any] = {}
    with suppress(OSError, ValueError), open(path) as file:
        entry = json.load(file)
    if entry.get("uuid") != document["uuid"]:
        reports = [one for one in boot_logs.requests(document["logs"]["report"], 0) if document["uuid"] in one["args"]]
        if not reports and _is_up(document["address"]) and not boot_logs.asked_here(document):
            return None
        seen = [datetime.fromisoformat(one["time"]).timestamp() - document["timeoutSeconds"] for one in reports]
        entry = {"uuid": document["uuid"], "since": min([time.time() - HEAD_START, *seen])}
        os.makedirs(BOOTS, exist_ok=True)
        files.write_now(path, json.dumps(entry).encode())
    return float(entry["since"])


def _is_up(address: str) -> bool:
    """Whether a machine is up at the address: it accepts or refuses a connection, but does not ignore it."""
    try:
        socket.create_connection((address, 22), timeout=2).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _follow(document: dict[str, Any], since: float, stages: report.Stages) -> boot_logs.Seen:
    """Wait for one stage after the other. Raises Failed when the time is up."""
    deadline = time.monotonic() + document["timeoutSeconds"]
    wanted: dict[str, Callable[[boot_logs.Seen], str]] = {
        "lease": lambda seen: seen.lease,
        "boot file": lambda seen: seen.boot_file,
        "kernel": lambda seen: seen.kernel,
        "initramfs": lambda seen: seen.initramfs,
    }
    if document["reportsBack"]:
        wanted["report"] = lambda seen: f"{len(seen.said)} facts" if seen.said else ""
    for name, found in wanted.items():
        with stages(name):
            reminded = time.monotonic()
            while not (stage := found(seen := boot_logs.look(document, since))):
                if time.monotonic() > deadline:
                    raise report.Failed(
                        f"{document['name']} did not come to this stage within {document['timeoutSeconds']} s",
                        message=boot_logs.last_word(document, name, since),
                        in_service="all services; the machine keeps running and may still get there",
                        remedy="look at the machine's console log on the libvirt host, correct the cause, restart the "
                        "machine, then run the update again",
                    )
                if time.monotonic() - reminded >= HEARTBEAT:
                    reminded = time.monotonic()
                    stages.waiting(f"{document['name']}'s {name}")
                time.sleep(POLL)
            stages.detail = stage
    return seen


def rows(document: dict[str, Any], seen: boot_logs.Seen) -> list[tuple[str, str, str, bool]]:
    """What the machine got against what it must get: (what, expected, got, good)."""
    expected = document["expected"]
    served = [
        ("lease", expected["address"], seen.lease),
        ("kernel", expected["kernel"], seen.kernel),
        ("initramfs", expected["initramfs"], seen.initramfs),
    ]
    either = " or ".join(expected["bootfile"].values())
    table = [(what, want, got, want == got) for what, want, got in served]
    table.insert(1, ("boot file", either, seen.boot_file, seen.boot_file in expected["bootfile"].values()))
    if document["reportsBack"]:
        said = seen.said
        for what in ("address", "hostname", "router", "dns", "ntp", "domain", "nextserver"):
            table.append((f"machine: {what}", expected[what], said.get(what, ""), said.get(what) == expected[what]))
        table.append(("machine: name lookup", "ok", said.get("lookup", ""), said.get("lookup") == "ok"))
        name = said.get("ptr", "").rstrip(".")
        table.append(("machine: name of its address", expected["hostname"], name, name == expected["hostname"]))
        offset = said.get("offset", "")
        table.append(("machine: time offset", f"below {MAX_OFFSET:g} s", f"{offset} s", _close(offset)))
        option = said.get("bootfile", "")
        table.append(("machine: boot file option", either, option, option in expected["bootfile"].values()))
    return table


def _close(offset: str) -> bool:
    try:
        return abs(float(offset)) <= MAX_OFFSET
    except ValueError:
        return False


def main(arguments: list[str], document: Any) -> None:
    """Follow the machine of `document` until it has booted."""
    with files.lock(f"boot-{document['name']}", "await-boot"):
        since = _since(document)
        if since is None:
            report.say(f"{document['name']} is up at {document['address']} since before this services host was built")
            return
        seen = _follow(document, since, report.Stages(STAGES))
    found = rows(document, seen)
    text = report.table(
        ("what", "expected", "got", "result"),
        [(what, want, got or "nothing", "ok" if good else "FAILED") for what, want, got, good in found],
    )
    report.say(text)
    if not all(good for *_, good in found):
        raise report.Failed(
            f"{document['name']} booted, but did not get everything it must get",
            message="\n".join(
                f"{what}: {got or 'nothing'} instead of {want}" for what, want, got, ok in found if not ok
            ),
            in_service="all services; the machine keeps running",
            remedy="compare with the smoke check's table, correct the service that hands this out, then run again",
        )
