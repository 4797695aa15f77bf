"""What the services' logs tell of one machine's network boot.

Owns reading nginx's JSON logs, Kea's lease file and the TFTP server's journal. Does not own waiting or judging.
`document` is that of `await-boot` everywhere; `since` is an epoch second.
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
    """What the services' logs tell of one machine; empty text where nothing was seen."""

    lease: str
    boot_file: str
    kernel: str
    initramfs: str
    said: dict[str, str]


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
    """Whether this host has leased to the machine or served it.

    Boot loaders refuse connections, too: a machine that is up may be booting right now.
    """
    logs, address = document["logs"], document["address"]
    asked = any(entry["address"] == address for entry in requests(logs["http"], 0))
    return asked or bool(_lease(logs["leases"], document["mac"], address, 0))


def look(document: dict[str, Any], since: float) -> Seen:
    """What is known of the machine's boot by now."""
    address, expected, logs = document["address"], document["expected"], document["logs"]
    fetched = {
        entry["uri"]: entry["uri"]
        for entry in requests(logs["http"], since)
        if entry["address"] == address and entry["status"] in (200, 206)
    }
    told = [
        {key: values[0] for key, values in parse_qs(entry["args"], keep_blank_values=True).items()}
        for entry in requests(logs["report"], since)
        if entry["address"] == address
    ]
    said: dict[str, str] = next((one for one in reversed(told) if one.get("uuid") == document["uuid"]), {})
    script = re.sub("^http://[^/]*", "", expected["bootfile"]["ipxe"])
    boot_file = expected["bootfile"]["ipxe"] if script in fetched else _tftp(document, since)
    return Seen(
        lease=_lease(logs["leases"], document["mac"], address, since) or (address if fetched else ""),
        boot_file=boot_file,
        kernel=fetched.get(expected["kernel"], ""),
        initramfs=fetched.get(expected["initramfs"], ""),
        said=said,
    )


def _lease(path: str, mac: str, address: str, since: float) -> str:
    """The address that Kea has leased to the card since then, other than for a smoke check."""
    with suppress(OSError):
        since = max(since, os.path.getmtime(files.SMOKE))
    try:
        with open(path, errors="replace") as leases:
            rows = [line.split(",") for line in leases]
    except FileNotFoundError:
        return ""
    granted = [row for row in rows if len(row) > 4 and row[1] == mac and row[4].isdigit()]
    # A row holds the lease's end and its length, not its start.
    return address if any(row[0] == address and int(row[4]) - int(row[3]) >= since for row in granted) else ""


def _tftp(document: dict[str, Any], since: float) -> str:
    """The boot file that the machine's address has asked the TFTP server for."""
    lines = _journal(document["units"]["tftp"], since, 200)
    wanted = f"RRQ from {document['address']} filename {document['expected']['bootfile']['pxe']}"
    return str(document["expected"]["bootfile"]["pxe"]) if any(wanted in line for line in lines) else ""


def _journal(unit: str, since: float, lines: int) -> list[str]:
    argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={lines}", f"--since=@{since:.0f}"]
    return commands.run([*argv, "--unit", unit], limit=20).output.splitlines()


def last_word(document: dict[str, Any], stage: str, since: float) -> str:
    """The last line of the service that the missing stage depends on, if it speaks of this machine."""
    if stage in ("lease", "boot file"):
        units = [document["units"]["dhcp"], *([document["units"]["tftp"]] if stage == "boot file" else [])]
        lines = [line for unit in units for line in _journal(unit, since, 200)]
        own = [line for line in lines if document["mac"] in line or document["address"] in line]
        return own[-1] if own else f"{', '.join(units)} logged nothing of {document['mac']}"
    own = [
        json.dumps(one) for one in requests(document["logs"]["http"], since) if one["address"] == document["address"]
    ]
    return own[-1] if own else f"{document['logs']['http']} has no request of {document['address']}"
