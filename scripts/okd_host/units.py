"""The service's units under systemd.

Owns the decision between reload, restart, start and nothing, carrying it out, and proving that the units run after it.
Does not own files or health.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import NamedTuple

from okd_host import commands, files, limits, report

UNIT_DIRECTORIES = ("/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/", "/run/systemd/system/")
ENABLED = {"enabled", "enabled-runtime", "static", "indirect", "generated", "alias"}
# When the last completed daemon-reload began; gone with a reboot, as the monotonic clock is.
LAST_REREAD = "/run/okd-libvirt/daemon-reload"
# So often may a daemon end at first: its address may come a moment later than itself.
RESTARTS = 3
# Without the hooks for scripts of SysV, which start Perl twice and change nothing where there is a unit.
ENABLE = ("env", "SYSTEMCTL_SKIP_SYSV=1", "systemctl", "--no-reload", "enable", "--")
ASKED = "--property=ActiveState,UnitFileState,SubState,NRestarts"


class Unit(NamedTuple):
    """A unit's state in systemd's own words, such as `active`, `enabled` and `auto-restart`."""

    name: str
    active: str
    enabled: str
    sub: str = ""
    restarts: int = 0

    @property
    def keeps_ending(self) -> bool:
        """Whether systemd has started it again several times, and it has ended each time."""
        return self.sub == "auto-restart" and self.restarts >= RESTARTS

    @property
    def running(self) -> bool:
        """Whether the unit is up, or was told to come up."""
        return self.active in ("active", "reloading", "activating")


def states(names: Sequence[str]) -> list[Unit]:
    """The state of each unit, asked in one call; a unit that does not exist is `inactive`."""
    if not names:
        return []
    result = commands.run(["systemctl", "show", ASKED, "--", *names])
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in result.output.split("\n\n")]
    if result.code or len(blocks) != len(names):
        raise report.Failed(
            "systemd does not answer", message=result.output, remedy="look at `systemctl status` on the services host"
        )
    return [
        Unit(
            name,
            block.get("ActiveState", "inactive"),
            block.get("UnitFileState", ""),
            block.get("SubState", ""),
            int(block.get("NRestarts") or 0),
        )
        for name, block in zip(names, blocks)
    ]


def disturbed(found: Sequence[Unit], paths: Sequence[str]) -> list[Unit]:
    """Those of `found` that run by a unit file that is one of `paths`."""
    files_of = {unit.name: {f"{directory}{unit.name}" for directory in UNIT_DIRECTORIES} for unit in found}
    return [unit for unit in found if unit.running and files_of[unit.name].intersection(paths)]


def describe(found: Sequence[Unit]) -> str:
    """The units and their states for a reader."""
    return ", ".join(f"{unit.name} {unit.active}" for unit in found) or "no units"


def action(
    found: Sequence[Unit], changed: Sequence[str], restart_on: Sequence[str], reload: Sequence[str]
) -> tuple[str, str]:
    """What the daemon needs for `changed` paths: (`nothing`|`reload`|`restart`|`start`, why)."""
    down = [unit.name for unit in found if not unit.running]
    hard = [path for path in changed if any(fnmatchcase(path, pattern) for pattern in restart_on)]
    if found and len(down) == len(found):
        return "start", "not running"
    if hard:
        return "restart", f"{hard[0]} needs it"
    if changed and reload:
        return "reload", "only reloadable files changed"
    if down:
        return "start", f"{', '.join(down)} not running"
    # A daemon that neither reloads nor restarts for a file reads it at each request.
    return "nothing", "the daemon reads its files at each request" if changed else "nothing changed and it runs"


def journal(names: Sequence[str], since: float) -> str:
    """What the units logged since the epoch second `since`."""
    selected = [part for name in names for part in ("--unit", name)]
    argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=15", f"--since=@{since:.0f}", *selected]
    result = commands.run(argv)
    return "" if result.code else result.output


def must(argv: Sequence[str], what: str, names: Sequence[str], stages: report.Stages) -> None:
    """Run `argv`; raises Failed with its output and what the units logged meanwhile."""
    since = time.time()
    result = commands.run(argv, limit=limits.UNIT.seconds, heartbeat=lambda: stages.waiting(what))
    if result.code:
        raise report.Failed(
            f"{what} failed (exit {result.code})",
            check=shlex.join(argv),
            message="\n".join(filter(None, [result.output, journal(names, since) if names else ""])),
        )


def reread(paths: Sequence[str], since: float, stages: report.Stages) -> bool:
    """See to it that systemd reads its units again when any of `paths`, changed by then, is one; whether it had to.

    `since` is of the monotonic clock, which all processes share. Of services delivered side by side, one reads for all
    that were changed before it began: systemd reads everything each time, which takes seconds on a slow machine.
    """
    if not any(path.startswith(UNIT_DIRECTORIES) for path in paths):
        return False
    with files.lock("daemon-reload", "daemon-reload"):
        last = 0.0
        with suppress(OSError, ValueError), open(LAST_REREAD) as file:
            last = float(file.read())
        if last <= since:
            started = time.monotonic()
            must(["systemctl", "daemon-reload"], "daemon-reload", [], stages)
            files.write_now(LAST_REREAD, str(started).encode())
    return True


def enable(found: Sequence[Unit], stages: report.Stages) -> list[str]:
    """Enable the units that are not; their names."""
    names = [unit.name for unit in found if unit.enabled not in ENABLED]
    if names:
        # What it would read again by itself was read already, and takes seconds.
        must([*ENABLE, *names], f"enabling {', '.join(names)}", [], stages)
    return names


def act(what: str, found: Sequence[Unit], reload: Sequence[str], stages: report.Stages) -> None:
    """Carry out an action on the units `found`. Raises Failed; `prove` says whether they run."""
    names = [unit.name for unit in found]
    if what == "reload":
        must(reload, "reload", names, stages)
        down = [unit.name for unit in found if not unit.running]
        if down:
            must(["systemctl", "start", *down], f"start of {', '.join(down)}", down, stages)
    elif what in ("start", "restart") and names:
        if failed := [unit.name for unit in found if unit.active == "failed"]:
            # A unit that failed too often refuses to start until its counter is reset.
            commands.run(["systemctl", "reset-failed", *failed])
        must(["systemctl", what, *names], f"{what} of {', '.join(names)}", names, stages)


def prove(names: Sequence[str], since: float, stages: report.Stages) -> str:
    """Wait until every unit is active; raises Failed with what they logged since `since` when one is not."""
    deadline, said = time.monotonic() + limits.UNIT.seconds, time.monotonic()
    while True:
        found = states(names)
        pending = [unit for unit in found if unit.active in ("activating", "reloading")]
        if not pending or any(unit.keeps_ending for unit in found) or time.monotonic() > deadline:
            break
        if time.monotonic() - said > commands.HEARTBEAT:
            said = time.monotonic()
            stages.waiting(describe(pending))
        time.sleep(0.3)
    _must_be([unit for unit in found if unit.active != "active"], since)
    return describe(found)


def still_up(names: Sequence[str], since: float) -> None:
    """Raises Failed, with what they logged since `since`, when a unit is neither up nor on its way."""
    _must_be([unit for unit in states(names) if not unit.running or unit.keeps_ending], since)


def _must_be(bad: Sequence[Unit], since: float) -> None:
    if bad:
        raise report.Failed(
            f"not running: {describe(bad)}",
            check="systemctl is-active",
            message=journal([unit.name for unit in bad], since),
        )
