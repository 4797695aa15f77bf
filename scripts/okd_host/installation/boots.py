"""How far one machine has come on its way through the network boot, as the services' logs tell it.

Owns the stages, what the machine must get at each, and from when on the logs tell of this boot. Does not own reading
logs (boot_logs.py), nor waiting.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from okd_host import boot_logs, files, limits, report

LEASE, BOOT_FILE, KERNEL, INITRAMFS, REPORT, ROOTFS, IGNITION = (
    "lease",
    "boot file",
    "kernel",
    "initramfs",
    "report",
    "rootfs",
    "ignition",
)
BOOTS = os.path.join(files.STATE, "boots")
# A machine may have started this long before it is looked for the first time.
HEAD_START = 120.0
# The longest that a machine takes to its report.
TO_REPORT = 900.0
# A guest's clock starts on a whole second, and an emulated guest is late on top.
MAX_OFFSET = 2.0
REPORTED = ("address", "hostname", "router", "dns", "ntp", "domain", "nextserver")
BEFORE = "up since before this services host was built"


class Progress(NamedTuple):
    """`stage` is the first that has not come (the last one, once `done`); `reached` the last that has, `since` then.

    `detail` is what was seen last, in a reader's words.
    """

    stage: str
    detail: str
    since: float
    done: bool
    reached: str = ""


class Boot:
    """One machine's boot; `document` as in the module `boot_logs`, where "rootfs" and "ignition" may be missing.

    Without "uuid" it is the boot that was followed last, and nothing is noted.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.name: str = document["name"]
        self._asked = str(document.get("uuid") or "")
        self._entry = self._read()
        self.document = document | {"uuid": self._asked or self._entry.get("uuid", "")}
        self._seen: boot_logs.Seen | None = None
        self._before = False
        stages = {LEASE, BOOT_FILE, KERNEL, INITRAMFS}
        stages |= {REPORT} if document["reportsBack"] else set()
        stages |= {name for name in (ROOTFS, IGNITION) if document["expected"].get(name)}
        self.stages = [one for one in (LEASE, BOOT_FILE, KERNEL, INITRAMFS, REPORT, ROOTFS, IGNITION) if one in stages]

    def look(self) -> Progress:
        """Where the machine is by now. Never waits."""
        since = self._since()
        if self._before:
            return Progress(self.stages[-1], BEFORE, since, True, self.stages[-1])
        known = self._seen.boot_file if self._seen else ""
        seen = self._seen = boot_logs.look(self.document, since, known)
        here: dict[str, tuple[str, str]] = {
            LEASE: ("lease", seen.lease),
            BOOT_FILE: ("boot_file", seen.boot_file),
            KERNEL: ("kernel", seen.kernel),
            INITRAMFS: ("initramfs", seen.initramfs),
            REPORT: ("said", f"{len(seen.said)} facts" if seen.said else ""),
            ROOTFS: ("rootfs", seen.rootfs),
            IGNITION: ("ignition", seen.ignition),
        }
        reached, detail, moment = "", "nothing yet", since
        for stage in self.stages:
            field, text = here[stage]
            if not text:
                return Progress(stage, detail, moment, False, reached)
            reached, detail, moment = stage, text, max(moment, seen.times.get(field, 0))
        return Progress(reached, detail, moment, True, reached)

    def rows(self) -> list[tuple[str, str, str, bool]]:
        """What the machine got against what it must get: (what, expected, got, good); as of the last look."""
        return list(self._rows(self._seen)) if self._seen else []

    def problems(self) -> list[str]:
        """What the machine got that differs from what it must get, as `what: got instead of expected`."""
        return [f"{what}: {got or 'nothing'} instead of {want}" for what, want, got, good in self.rows() if not good]

    def table(self) -> str:
        """What the machine got against what it must get."""
        if self._before:
            return f"{self.name} is {BEFORE}"
        rows = [(what, want, got or "nothing", "ok" if good else "FAILED") for what, want, got, good in self.rows()]
        return report.table((self.name, "expected", "got", "result"), rows)

    def last_word(self) -> str:
        """The last line of the service that the missing stage depends on, if it speaks of this machine."""
        return boot_logs.last_word(self.document, self.look().stage, self._since())

    def _rows(self, seen: boot_logs.Seen) -> Iterator[tuple[str, str, str, bool]]:
        expected = self.document["expected"]
        either = expected["bootfile"].values()
        yield LEASE, expected["address"], seen.lease, seen.lease == expected["address"]
        yield BOOT_FILE, " or ".join(either), seen.boot_file, seen.boot_file in either
        served = {KERNEL: seen.kernel, INITRAMFS: seen.initramfs, ROOTFS: seen.rootfs, IGNITION: seen.ignition}
        for what, got in served.items():
            if what in self.stages:
                yield what, expected[what], got, got == expected[what]
        if REPORT not in self.stages:
            return
        said = seen.said
        for what in REPORTED:
            yield f"machine: {what}", expected[what], said.get(what, ""), said.get(what) == expected[what]
        yield "machine: name lookup", "ok", said.get("lookup", ""), said.get("lookup") == "ok"
        name = said.get("ptr", "").rstrip(".")
        yield "machine: name of its address", expected["hostname"], name, name == expected["hostname"]
        offset = said.get("offset", "")
        yield "machine: time offset", f"below {MAX_OFFSET:g} s", f"{offset} s" if offset else "", _close(offset)
        option = said.get("bootfile", "")
        yield "machine: boot file option", " or ".join(either), option, option in either

    def _read(self) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        with suppress(OSError, ValueError), open(os.path.join(BOOTS, self.name)) as file:
            entry = json.load(file)
        return entry

    def _since(self) -> float:
        """From when on the logs tell of this boot: kept by the domain's UUID, so that a second run sees the same."""
        if self._asked and self._entry.get("uuid") != self._asked:
            self._entry = {"uuid": self._asked, "since": self._begin(), "address": self.document["address"]}
            if not self._before:
                os.makedirs(BOOTS, exist_ok=True)
                files.write_now(os.path.join(BOOTS, self.name), json.dumps(self._entry).encode())
        return float(self._entry.get("since", 0))

    def _begin(self) -> float:
        """When a machine that is looked for the first time may have started.

        That may be long ago, since an update was interrupted. But where another machine was watched before at its
        address, older lines are that one's, unless a report says otherwise.
        """
        document = self.document
        if not boot_logs.asked_here(document) and is_up(document["address"]):
            # Boot loaders refuse connections, too: it may have been booting while it was tried.
            self._before = not boot_logs.asked_here(document)
        if self._before:
            return 0
        reports = list(boot_logs.requests(document["logs"]["report"], 0))
        own = [one for one in reports if document["uuid"] in one["args"]]
        others = [one for one in reports if one not in own and one["address"] == document["address"]]
        if not others and not self._successor():
            return 0
        seen = [datetime.fromisoformat(one["time"]).timestamp() - TO_REPORT for one in own]
        return min([time.time() - HEAD_START, *seen])

    def _successor(self) -> bool:
        """Whether another machine was watched at this address or under this name."""
        if self._entry:
            return True
        with suppress(FileNotFoundError):
            for name in os.listdir(BOOTS):
                with suppress(OSError, ValueError), open(os.path.join(BOOTS, name)) as file:
                    if json.load(file).get("address") == self.document["address"]:
                        return True
        return False


def is_up(address: str) -> bool:
    """Whether a machine is up at the address: it accepts or refuses a connection, but does not ignore it."""
    try:
        socket.create_connection((address, 22), timeout=limits.PORT.seconds).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _close(offset: str) -> bool:
    try:
        return abs(float(offset)) <= MAX_OFFSET
    except ValueError:
        return False
