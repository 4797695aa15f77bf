"""Health of a delivered service: its probes, tried until they succeed or the time is over.

Owns the retries. Does not own what is probed.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from okd_host import commands, report
from okd_host.bundle import Health

LIMIT = 60.0
PROBE_LIMIT = 15.0


def _probe(health: Health) -> str:
    """Why the service is not healthy yet; empty when it is."""
    if health.argv:
        result = commands.run(health.argv, limit=PROBE_LIMIT)
        return "" if result.code == 0 else f"exit {result.code}: {report.tail(result.output)}"
    import socket

    host, _, port = health.tcp.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_LIMIT).close()
    except OSError as error:
        return f"{health.tcp}: {error.strerror or error}"
    return ""


def verify(probes: Sequence[Health], stages: report.Stages, limit: float = LIMIT) -> None:
    """Every probe succeeds within `limit` seconds, all together. Raises Failed with the last answer."""
    deadline, said = time.monotonic() + limit, time.monotonic()
    for health in probes:
        pause = 0.1
        while True:
            why = _probe(health)
            if not why:
                break
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
