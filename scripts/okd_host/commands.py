"""Running the host's own tools.

Owns captured output and heartbeats, and ending what does not end (limits.py says after how long). Output goes to
memory, not to a pipe, so that a daemon that a command leaves behind does not keep the caller waiting.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

from okd_host import limits, report

HEARTBEAT = 5.0


class Result(NamedTuple):
    """`code` as a shell would say it (124 time limit, 127 not found); `output` is stdout and stderr together."""

    code: int
    output: str


def run(
    argv: Sequence[str], *, limit: float = limits.PROGRAM.seconds, heartbeat: Callable[[], None] | None = None
) -> Result:
    """Run `argv` for at most `limit` seconds, calling `heartbeat` about every five; never raises.

    Without a `heartbeat` a line names the program that is waited for.
    """
    with os.fdopen(os.memfd_create("output"), "r+b") as output:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            return Result(127, f"{argv[0]}: {error.strerror}")
        waited = 0.0
        while True:
            step = min(HEARTBEAT, limit - waited)
            try:
                code = process.wait(step)
                break
            except subprocess.TimeoutExpired:
                waited += step
            if waited >= limit:
                os.killpg(process.pid, 9)
                process.wait()
                code = 124
                break
            if heartbeat:
                heartbeat()
            else:
                report.say(f"  waiting for {os.path.basename(argv[0])} ({waited:.0f} s)")
        output.seek(0)
        text = output.read().decode(errors="replace")
    if code == 124:
        text += f"\nno answer after {limit:.0f} s: {argv[0]} was ended"
    return Result(code if code >= 0 else 128 - code, text.strip())
