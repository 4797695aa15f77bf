"""apt and dpkg beside whoever else works with them: a cloud image's first minutes are when its daily jobs begin.

Owns holding those jobs back, and waiting for every lock. `DPkg::Lock::Timeout` covers one of the four only: `apt-get
update`, downloads and dpkg itself give up at once. Does not own what is installed (packages.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from okd_host import commands, files, limits, report

TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
# A stop ends no dpkg: the upgrade's unit kills its shell alone, and what that left at work is waited for by its lock.
# unattended-upgrades.service only waits for the host's shutdown, and holds nothing.
SERVICES = ("apt-daily.service", "apt-daily-upgrade.service")
# Timers that a run stopped; one that is killed leaves them to the next. Gone with a reboot, which starts them.
STOPPED = "/run/okd-libvirt/stopped-timers"
LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
LOCKED = re.compile(r"Could not get lock|Unable to acquire the dpkg|locked by another process")
# struct flock: l_type, l_whence, l_start, l_len, l_pid.
FLOCK = "hhqqi"


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of apt's own begins meanwhile. Hosts without its daily jobs, or without systemd, are none the worse."""
    timers = sorted({*_remembered(), *_active(TIMERS)})
    if timers:
        os.makedirs(os.path.dirname(STOPPED), exist_ok=True)
        files.write_now(STOPPED, json.dumps(timers).encode())
    if stop := [*_active(TIMERS), *_active(SERVICES)]:
        report.say(f"  apt's own jobs are held back meanwhile: {', '.join(stop)}")
        commands.run(["systemctl", "stop", "--", *stop])
    try:
        yield
    finally:
        if timers:
            commands.run(["systemctl", "start", "--", *timers])
            os.unlink(STOPPED)


def _remembered() -> list[str]:
    with suppress(OSError, ValueError), open(STOPPED) as file:
        return [str(name) for name in json.load(file) if name in TIMERS]
    return []


def _active(names: Sequence[str]) -> list[str]:
    states = commands.run(["systemctl", "is-active", "--", *names]).output.split("\n")
    # A oneshot service is never more than activating.
    return [name for name, state in zip(names, states) if state in ("active", "activating")]


def run(argv: Sequence[str], what: str, stages: report.Stages) -> commands.Result:
    """Run `argv` once nobody holds a lock, and again when somebody was quicker. Raises Failed when that never ends."""
    deadline = time.monotonic() + limits.PACKAGES.seconds
    while True:
        _await_locks(deadline, stages)
        result = commands.run(argv, limit=limits.PACKAGES.seconds, heartbeat=lambda: stages.waiting(what))
        if not result.code or not LOCKED.search(result.output) or time.monotonic() > deadline:
            return result
        stages.waiting(f"a lock that somebody took before {argv[0]}")
        time.sleep(1)


def _await_locks(deadline: float, stages: report.Stages) -> None:
    said = 0.0
    while held := next(filter(None, map(_held, LOCKS)), ""):
        if time.monotonic() > deadline:
            raise report.Failed(
                f"{held} after {limits.PACKAGES.seconds:.0f} s",
                in_service="what was installed before; no daemon was started",
                remedy="see on the services host what that process waits for, then run the update again",
            )
        if not said or time.monotonic() - said > commands.HEARTBEAT:
            said = time.monotonic()
            stages.waiting(held)
        time.sleep(0.5)


def _held(path: str) -> str:
    """Who holds a lock, in words; empty when nobody does."""
    try:
        with open(path) as file:
            asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return ""
    if kind == fcntl.F_UNLCK:
        return ""
    name = "another process"
    with suppress(OSError), open(f"/proc/{pid}/comm") as file:
        name = file.read().strip()
    return f"{path}, held by {name} (pid {pid})"
