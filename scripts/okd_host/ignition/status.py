"""ignition-status: how old the ignition configs on this host are, and which set there should be. Changes nothing.

Document: {"renewAfterHours": 12, "api": {"url", "address"}}. "generation" in the result is the name of the set that a
program should ask for: the present one's own while it can be used, another one once it is too old and no cluster is up.
"""

from __future__ import annotations

import time
from typing import Any

from okd_host import limits, report
from okd_host.ignition import cluster, guard
from okd_host.ignition.certificates import moment

FIRST = "first"


def main(arguments: list[str], document: Any) -> None:
    """Print the state of the set."""
    found = guard.known()
    if not found or found.damage:
        installed = bool(found and found.installed)
        empty = {"generation": FIRST, "made": None, "expiry": None, "installed": installed, "stale": False}
        report.say(f"ignition configs: {f'damaged ({found.damage})' if found else 'none yet'}")
        report.result(empty)
        return
    state = cluster.SILENT
    if not found.installed:
        state = cluster.ask(document["api"], found.authority, limit=limits.GUARD_REQUEST.seconds)
    installed = found.installed or state == cluster.UP
    kept = installed or state == cluster.STARTING
    trouble = "" if kept else guard.aged(found.validity, float(document["renewAfterHours"]), time.time())
    until = moment(found.validity.expiry)
    report.say(f"ignition configs: {trouble or f'good until {until}'}{', of a cluster that is up' if kept else ''}")
    report.result(
        {
            "generation": f"after-{until}" if trouble else found.generation,
            "made": moment(found.validity.made),
            "expiry": until,
            "installed": installed,
            "stale": bool(trouble),
        }
    )
