"""What a run tells its reader: stage lines and a result on stdout, one readable failure on stderr.

Owns the form of the lines and that no known secret is in them. A reader that went away is no error.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

_hidden: set[str] = set()
HIDDEN = "REDACTED"


class Failed(Exception):
    """A verb cannot go on. Outer layers fill in what the raiser cannot know (`stage`, `in_service`)."""

    def __init__(
        self, why: str, *, check: str = "", file: str = "", message: str = "", remedy: str = "", in_service: str = ""
    ) -> None:
        super().__init__(why)
        self.why = why
        self.stage = ""
        self.check = check
        self.file = file
        self.message = message
        self.remedy = remedy
        self.in_service = in_service


def hide(texts: Iterable[str]) -> None:
    """Never print these again, nor any of their lines; lines under eight characters are no secrets."""
    for text in texts:
        _hidden.update(line for line in text.splitlines() if len(line) >= 8)


def clean(text: str) -> str:
    """`text` without the hidden secrets."""
    for secret in _hidden:
        text = text.replace(secret, HIDDEN)
    return text


def say(line: str) -> None:
    """Print one line on stdout at once."""
    with suppress(OSError, ValueError):
        print(clean(line), flush=True)


def result(document: Mapping[str, object]) -> None:
    """Print what a verb found out for the program, as its last line; it holds no secrets."""
    say(f"result: {json.dumps(document)}")


def flush() -> None:
    """Flush both streams, whether somebody reads them or not."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def tail(text: str, lines: int = 15) -> str:
    """The last `lines` lines of a daemon's message that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def failure(verb: str, failed: Failed) -> None:
    """Print a failure on stderr: what failed, the daemon's own words, what is in service now, the remedy."""
    rows = [f"okd-host {verb}: {f'stage {failed.stage} failed: ' if failed.stage else ''}{failed.why}"]
    rows += [f"  check:      {failed.check}"] if failed.check else []
    rows += [f"  file:       {failed.file}"] if failed.file else []
    if failed.message:
        rows += ["  message:", *(f"    {line}" for line in tail(failed.message).splitlines())]
    rows += [f"  in service: {failed.in_service}"] if failed.in_service else []
    rows += [f"  remedy:     {failed.remedy}"] if failed.remedy else []
    with suppress(OSError, ValueError):
        print(clean("\n".join(rows)), file=sys.stderr, flush=True)


class Stages:
    """The numbered stages of one run; `with stages("check") as stage: ... stage.detail = "..."`."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.detail = ""
        self._started = 0.0
        self._current = ""

    @property
    def label(self) -> str:
        """The current stage as `2/6 check`."""
        return f"{self.names.index(self._current) + 1}/{len(self.names)} {self._current}"

    @property
    def elapsed(self) -> float:
        """Seconds since the current stage began."""
        return time.monotonic() - self._started

    def __call__(self, name: str) -> Stages:
        """Make `name` the current stage."""
        self._current, self.detail, self._started = name, "", time.monotonic()
        return self

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Failed):
            error.stage = error.stage or self.label
        elif error is None:
            say(f"stage {self.label}: {self.detail} ({self.elapsed:.1f} s)")

    def waiting(self, what: str) -> None:
        """Say that the current stage is still at it."""
        say(f"  waiting for {what} ({self.elapsed:.0f} s)")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned table; the last column is not padded."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header, *rows]]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])
