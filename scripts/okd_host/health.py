"""Health of a delivered service: its probes, tried until they succeed or the time is over.

Owns the retries, and that a service whose unit is down is not waited for. Does not own what is probed.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from functools import partial

from okd_host import commands, limits, report, units
from okd_host.bundle import Health


def _probe(health: Health, limit: float, stages: report.Stages) -> str:
    """Why the service is not healthy yet; empty when it is."""
    if health.argv:
        result = commands.run(health.argv, limit=limit, heartbeat=partial(stages.waiting, health.name))
        return "" if result.code == 0 else f"exit {result.code}: {report.tail(result.output)}"
    import socket

    host, _, port = health.tcp.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=limit).close()
    except OSError as error:
        return f"{health.tcp}: {error.strerror or error}"
    return ""


def verify(probes: Sequence[Health], names: Sequence[str], since: float, stages: report.Stages) -> None:
    """Every probe succeeds, all together within limits.HEALTH, while the units `names` run.

    Raises Failed with the last answer, or at once with what a unit that went down has logged since `since`.
    """
    limit = limits.HEALTH.seconds
    deadline, said = time.monotonic() + limit, time.monotonic()
    for health in probes:
        pause = 0.1
        while True:
            left = max(deadline - time.monotonic(), 1.0)
            why = _probe(health, min(limits.PROBE.seconds, left), stages)
            if not why:
                break
            units.still_up(names, since)
            if time.monotonic() > deadline:
                raise report.Failed(
                    f"health check {health.name} still fails after {limit:.0f} s",
                    check=f"{health.name}: {shlex.join(health.argv) or f'TCP connection to {health.tcp}'}",
                    message=why,
                )
            if time.monotonic() - said > commands.HEARTBEAT:
                said = time.monotonic()
                stages.waiting(f"{health.name}: {why.splitlines()[-1]}")
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
