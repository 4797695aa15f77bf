"""What the services' logs tell of one machine's network boot.

Owns reading nginx's JSON logs, Kea's lease file and the TFTP server's journal. Does not own waiting or judging.
`document` is a boot document everywhere; `since` is an epoch second. A boot document: {"name", "mac", "address", "uuid"
(the domain's, which the machine reads from its firmware), "reportsBack" (the boot image answers the kernel argument
okd.report), "expected": {"address", "hostname", "router", "dns", "ntp", "domain", "nextserver", "bootfile": {"pxe",
"ipxe"}, "kernel", "initramfs", "rootfs", "ignition" (paths under the HTTP root)}, "units": {"dhcp", "tftp", "http"},
"logs": {"http", "report", "leases"}}.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from okd_host import commands, files


class Seen(NamedTuple):
    """What the services' logs tell of one machine; empty text where nothing was seen. `times` says when, by field."""

    lease: str
    boot_file: str
    kernel: str
    initramfs: str
    said: dict[str, str]
    rootfs: str
    ignition: str
    times: dict[str, float]


def requests(path: str, since: float) -> Iterator[dict[str, Any]]:
    """The requests in one of nginx's JSON logs, also when it was rotated meanwhile, from `since` on."""
    for name in (f"{path}.1", path):
        try:
            with open(name, errors="replace") as log:
                lines = log.readlines()
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                entry = json.loads(line)
                if datetime.fromisoformat(entry["time"]).timestamp() >= since:
                    yield entry
            except (ValueError, KeyError):
                continue


def asked_here(document: dict[str, Any]) -> bool:
    """Whether this host has leased to the machine or served it."""
    logs, address = document["logs"], document["address"]
    asked = any(entry["address"] == address for entry in requests(logs["http"], 0))
    return asked or bool(_lease(logs["leases"], document["mac"], address, 0))


def look(document: dict[str, Any], since: float, boot_file: str = "") -> Seen:
    """What is known of the machine's boot by now; `boot_file` is what an earlier look has seen of it."""
    address, expected, logs = document["address"], document["expected"], document["logs"]
    fetched = {
        entry["uri"]: _time(entry)
        for entry in requests(logs["http"], since)
        if entry["address"] == address and entry["status"] in (200, 206)
    }
    told = [
        (_time(entry), {key: values[0] for key, values in parse_qs(entry["args"], keep_blank_values=True).items()})
        for entry in requests(logs["report"], since)
        if entry["address"] == address
    ]
    own = [(moment, one) for moment, one in told if one.get("uuid") == document["uuid"]]
    reported, said = own[-1] if own else (0.0, {})
    leased = _lease(logs["leases"], document["mac"], address, since) or min(fetched.values(), default=0)
    script = re.sub("^http://[^/]*", "", expected["bootfile"]["ipxe"])
    if script in fetched:
        boot_file = expected["bootfile"]["ipxe"]
    elif leased:
        boot_file = boot_file or _tftp(document, since)
    paths = {name: expected.get(name, "") for name in ("kernel", "initramfs", "rootfs", "ignition")}
    times = {name: fetched[path] for name, path in paths.items() if path in fetched}
    return Seen(
        lease=address if leased else "",
        boot_file=boot_file,
        said=said,
        times={"lease": leased, "boot_file": fetched.get(script, leased), "said": reported, **times},
        **{name: path if path in fetched else "" for name, path in paths.items()},
    )


def _time(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["time"]).timestamp()


def _lease(path: str, mac: str, address: str, since: float) -> float:
    """Since when Kea has leased the address to the card, if since then, and other than for a smoke check; else 0."""
    with suppress(OSError):
        since = max(since, os.path.getmtime(files.SMOKE))
    try:
        with open(path, errors="replace") as leases:
            rows = [line.split(",") for line in leases]
    except FileNotFoundError:
        return 0
    granted = [row for row in rows if len(row) > 4 and row[1] == mac and row[4].isdigit() and row[3].isdigit()]
    # A row holds the lease's end and its length, not its start.
    starts = [int(row[4]) - int(row[3]) for row in granted if row[0] == address]
    return float(max((start for start in starts if start >= since), default=0))


def _tftp(document: dict[str, Any], since: float) -> str:
    """The boot file that the machine's address has asked the TFTP server for."""
    lines = journal(document["units"]["tftp"], since, 200)
    wanted = f"RRQ from {document['address']} filename {document['expected']['bootfile']['pxe']}"
    return str(document["expected"]["bootfile"]["pxe"]) if any(wanted in line for line in lines) else ""


def journal(unit: str, since: float, lines: int) -> list[str]:
    """The last lines of a unit's journal since then."""
    argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={lines}", f"--since=@{since:.0f}"]
    return commands.run([*argv, "--unit", unit]).output.splitlines()


def last_word(document: dict[str, Any], stage: str, since: float) -> str:
    """The last line of the service that the missing stage depends on, if it speaks of this machine."""
    if stage in ("lease", "boot file"):
        units = [document["units"]["dhcp"], *([document["units"]["tftp"]] if stage == "boot file" else [])]
        lines = [line for unit in units for line in journal(unit, since, 200)]
        own = [line for line in lines if document["mac"] in line or document["address"] in line]
        return own[-1] if own else f"{', '.join(units)} logged nothing of {document['mac']}"
    own = [
        json.dumps(one) for one in requests(document["logs"]["http"], since) if one["address"] == document["address"]
    ]
    return own[-1] if own else f"{document['logs']['http']} has no request of {document['address']}"
