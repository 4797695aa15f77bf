"""The rows of the smoke check.

Owns what counts as passed and the order in which checks that ran side by side are shown.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import NamedTuple, TypeVar

from okd_host import limits, report

BEGAN = time.monotonic()
Answer = TypeVar("Answer")
HEADER = ("check", "expected", "got", "result")


class Row(NamedTuple):
    """One line: passed when `good`."""

    check: str
    expected: str
    got: str
    good: bool


def compare(check: str, expected: object, got: object) -> Row:
    """A row that passes when both are equal; lists are shown with commas."""
    shown = [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in (expected, got)]
    return Row(check, shown[0], shown[1] or "nothing", expected == got)


def broken(check: str, expected: object, error: BaseException) -> Row:
    """A row for a check that could not be carried out."""
    if isinstance(error, OSError):
        got = error.strerror or str(error)
    else:
        got = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return Row(check, str(expected), got[:140], False)


def patiently(what: str, ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns, asked again while its peer is silent. Raises socket.timeout when it stays so."""
    while True:
        try:
            return ask()
        except socket.timeout:
            waited = time.monotonic() - BEGAN
            if waited > limits.SMOKE.seconds:
                raise
            report.say(f"  no answer yet: {what} ({waited:.0f} s)")


def each(items: Sequence[tuple[str, str, Callable[[], Row]]]) -> list[Row]:
    """The rows of (check, expected, ask), one after the other; a server that stays silent is not asked again."""
    rows: list[Row] = []
    silent = ""
    for check, expected, ask in items:
        if silent:
            rows.append(Row(check, expected, f"not asked: no answer to {silent}", False))
            continue
        try:
            rows.append(patiently(check, ask))
        except socket.timeout as error:
            rows.append(broken(check, expected, error))
            silent = check
        except (OSError, ValueError, HTTPException) as error:
            rows.append(broken(check, expected, error))
    return rows


def gather(groups: Sequence[tuple[str, Callable[[], list[Row]]]]) -> list[Row]:
    """Run the groups side by side, mostly waiting for answers; their rows in the groups' order."""
    found: dict[str, list[Row]] = {}

    def run(name: str, group: Callable[[], list[Row]]) -> None:
        try:
            found[name] = group()
        except Exception as error:
            # A fault of one check must not hide what the others found.
            found[name] = [broken(name, "an answer", error)]

    threads = [threading.Thread(target=run, args=group, daemon=True) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [row for name, _ in groups for row in found[name]]


def text(rows: Sequence[Row]) -> str:
    """The aligned table."""
    return report.table(HEADER, [(row.check, row.expected, row.got, "ok" if row.good else "FAILED") for row in rows])
