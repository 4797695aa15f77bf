"""Waiting for something that takes minutes.

Owns the limit, the pauses and the progress lines. Does not own what is looked at, nor what a failure says.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from okd_host import report

POLL = 2.0
HEARTBEAT = 10.0


class Limit:
    """So many minutes from now; one limit may be that of several stages."""

    def __init__(self, minutes: float) -> None:
        self.minutes = float(minutes)
        self._end = time.monotonic() + self.minutes * 60

    @property
    def over(self) -> bool:
        """Whether it is over."""
        return time.monotonic() > self._end


def until(
    look: Callable[[], tuple[bool, str]],
    stages: report.Stages,
    limit: Limit,
    fail: Callable[[str], report.Failed],
    pause: float | None = None,
) -> str:
    """Call `look` until it is done, `pause` or POLL seconds apart; what it said last.

    Raises what `fail` makes when the limit is over.
    """
    said = time.monotonic()
    while True:
        began = time.monotonic()
        done, at = look()
        if done:
            return at
        if limit.over:
            raise fail(f"not within {limit.minutes:g} minutes: {at}")
        if time.monotonic() - said >= HEARTBEAT:
            said = time.monotonic()
            report.say(f"  still waiting: {at} ({stages.elapsed:.0f} s)")
        # A look that takes seconds, on a busy host, must not be what keeps it busy.
        time.sleep(max(POLL if pause is None else pause, 2 * (time.monotonic() - began)))
