"""Where one stack's commands run, and how: inside the lab's namespaces or right here, shown or caught.

Owns: the environment of `pulumi`, `virsh` and `ssh`, and keeping the settings file as it is committed. Does not own:
what is run. Standard library only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster import limits
from cluster.limits import Wait
from lab import checkout, namespaces, remedies
from lab.progress import StepFailed, say

SALT = "encryptionsalt:"
_KEPT_LINES = 1000
_SAID_SECONDS = 10.0


class Commands:
    """One stack's commands."""

    def __init__(self, stack: str, *, in_lab: bool) -> None:
        self.stack = stack
        self.in_lab = in_lab
        self.environment = checkout.environment() if in_lab else {**checkout.environment(), **os.environ}
        if in_lab:
            # Pulumi would prefer it to the lab's own, and the state would need both shells' settings for good.
            self.environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
        self.environment["PATH"] = checkout.environment()["PATH"]
        # The passphrase's salt then lives in the state alone, and Pulumi.<stack>.yaml stays as it is committed.
        self.environment["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] = "true"

    @property
    def project(self) -> str:
        """The project's name, as Pulumi's backend knows it."""
        found = re.search(r"^name:\s*(\S+)", (checkout.ROOT / "Pulumi.yaml").read_text(), re.MULTILINE)
        return found[1] if found else ""

    def caught(
        self, argv: Sequence[str], *, stdin: str = "", what: str = "", limit: Wait = limits.LIBVIRT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and catch what it prints; its exit code is left to the caller, 124 when it takes too long.

        With `what`, the answer of somebody who may be gone is waited for: up to `limit`, with lines that name it.
        """
        with (
            self._unsalted(),
            subprocess.Popen(
                self.where(argv), env=self.environment, cwd=checkout.ROOT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            ) as child,
        ):  # fmt: skip
            waited, given = 0.0, stdin
            while True:
                try:
                    told, complaint = child.communicate(given, _SAID_SECONDS if what else None)
                    return subprocess.CompletedProcess(list(argv), child.returncode, told, complaint)
                except subprocess.TimeoutExpired:
                    waited, given = waited + _SAID_SECONDS, ""
                except BaseException:
                    child.kill()
                    raise
                if waited >= limit.seconds:
                    child.kill()
                    child.communicate()
                    return subprocess.CompletedProcess(list(argv), 124, "", f"no answer within {waited:g} s")
                say(f"  … waiting for {what}: {waited:.0f} s", sys.stderr)

    def must(self, argv: Sequence[str], *, directory: Path = checkout.ROOT) -> str:
        """What a command prints that needs no lab. Raises StepFailed when it fails."""
        done = subprocess.run(
            argv, cwd=directory, env=self.environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        if done.returncode:
            told = done.stderr.strip().splitlines()
            raise StepFailed(" ".join(argv), told, "; ".join(remedies.of(told)) or "see the lines above")
        return done.stdout

    def shown(self, argv: Sequence[str], *, stdin: str | None = None) -> int:
        """Run a command on this process's own terminal; return its exit code."""
        sys.stdout.flush()
        entry = subprocess.PIPE if stdin is not None else None
        with (
            self._unsalted(),
            _patient(),
            subprocess.Popen(
                self.where(argv), env=self.environment, cwd=checkout.ROOT, stdin=entry, text=True
            ) as child,
        ):
            child.communicate(stdin)
            return child.returncode

    def followed(self, argv: Sequence[str], heard: Callable[[str], None] = lambda line: None) -> tuple[int, list[str]]:
        """Run a command, show what it prints as it comes; return its exit code and the last lines.

        `heard` is called with each line.

        When it fails in words that leave alone who reads them, say what to do.
        """
        sys.stdout.flush()
        if argv[0] == "pulumi" and "--color" not in argv and sys.stdout.isatty():
            argv = [*argv, "--color", "always"]
        kept: deque[str] = deque(maxlen=_KEPT_LINES)
        with (
            self._unsalted(),
            _patient(),
            subprocess.Popen(
                self.where(argv), env=self.environment, cwd=checkout.ROOT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            ) as child,
        ):  # fmt: skip
            assert child.stdout is not None
            for line in child.stdout:
                print(line, end="", flush=True)
                heard(line)
                kept.append(line.rstrip("\n"))
        for remedy in remedies.of(kept) if child.returncode else ():
            say(f"to do: {remedy}")
        return child.returncode, list(kept)

    def where(self, argv: Sequence[str]) -> list[str]:
        """The words that run a command where the stack's libvirt and networks are."""
        return namespaces.join(list(argv), directory=checkout.ROOT) if self.in_lab else list(argv)

    @contextmanager
    def _unsalted(self) -> Iterator[None]:
        """Keep the settings file as it is committed: Pulumi writes the salt, which the state holds too, into it."""
        settings = checkout.ROOT / f"Pulumi.{self.stack}.yaml"
        salted = SALT in settings.read_text()
        try:
            yield
        finally:
            text = settings.read_text()
            if not salted and SALT in text and "secure:" not in text:
                kept = [line for line in text.splitlines(keepends=True) if not line.startswith(SALT)]
                settings.write_text("".join(kept))


@contextmanager
def _patient() -> Iterator[None]:
    """A first Ctrl-C is for the command, which then ends in good order; this process waits for it.

    A handler of our own, since the command would inherit that the signal is ignored.
    """
    before = signal.signal(signal.SIGINT, lambda signum, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
