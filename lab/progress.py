"""Progress lines with elapsed time, and commands whose output goes to a log file.

Owns: how a long step is shown and how a failed command is reported. Does not own: what the steps are.
Standard library only, because the toolchain step runs before the project's virtual environment exists.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_STARTED = time.monotonic()
_INTERVAL_SECONDS = 5.0
_TAIL_LINES = 15


class StepFailed(Exception):
    """A step that could not be done: what failed, the last lines of its output, and what to do about it."""

    def __init__(self, what: str, last_lines: Sequence[str] = (), remedy: str = "") -> None:
        """Keep the three parts apart, so that a caller may show or test each of them."""
        self.what = what
        self.last_lines = tuple(last_lines)
        self.remedy = remedy
        shown = [what, *(f"    {line}" for line in self.last_lines)]
        super().__init__("\n".join([*shown, f"  to do: {remedy}"] if remedy else shown))


def say(text: str, to: TextIO | None = None) -> None:
    """Print one line, led by the seconds since the process started, on stdout if nothing else is said."""
    print(f"[{time.monotonic() - _STARTED:6.1f}s] {text}", flush=True, file=to)


@contextmanager
def step(what: str, *, log: Path | None = None, expected: float | None = None) -> Iterator[None]:
    """Announce a step, tell every five seconds that it still runs, and say how long it took.

    With `log`, the last line of that file is shown beside the elapsed time; `expected` is in seconds.
    """
    whole = f" of about {expected:.0f} s" if expected else ""
    say(what)
    begin = time.monotonic()
    done = threading.Event()

    def remind() -> None:
        while not done.wait(_INTERVAL_SECONDS):
            last = tail(log, 1) if log else []
            note = f" ({last[0][:80]})" if last else ""
            say(f"  … {what}: {time.monotonic() - begin:.0f} s{whole}{note}")

    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        done.set()
        reminder.join()
        took = time.monotonic() - begin
        if outcome == "failed" or took >= _INTERVAL_SECONDS:
            say(f"  {what}: {outcome} after {took:.1f} s")


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    step: str = "",
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    remedy: str = "",
    append: bool = False,
    expected: float | None = None,
) -> str:
    """Run a command with stdout and stderr in `log` and return what it printed.

    `step` is announced like `step()`; empty means quiet. `env` replaces the whole environment when given.
    Raises StepFailed with the last lines of the output when the command is missing or fails.
    """
    what = step or " ".join(str(word) for word in argv[:4])
    if step:
        with _announced(step, log=log, expected=expected):
            return _run(argv, what, log, cwd, env, remedy, append)
    return _run(argv, what, log, cwd, env, remedy, append)


def tail(path: Path, count: int = _TAIL_LINES) -> list[str]:
    """Return the last non-empty lines of a text file; none when it does not exist."""
    try:
        with path.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 64 * 1024))
            text = handle.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def fail(error: StepFailed) -> int:
    """Print a failed step on stderr and return the exit code for it."""
    sys.stdout.flush()
    print(f"FAILED: {error}", file=sys.stderr, flush=True)
    return 1


_announced = step


def _run(
    argv: Sequence[str | os.PathLike[str]],
    what: str,
    log: Path,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    remedy: str,
    append: bool,
) -> str:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab" if append else "wb") as output:
        start = output.tell()
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
            )
        except FileNotFoundError as error:
            raise StepFailed(f"{what}: {error.filename} not found", remedy=remedy or "install it") from error
    if done.returncode != 0:
        raise StepFailed(f"{what}: exit code {done.returncode} (log: {log})", tail(log), remedy)
    with log.open("rb") as output:
        output.seek(start)
        return output.read().decode("utf-8", "replace")
