"""A stack as Pulumi's backend holds it: made, selected, listed, removed.

Owns: the backend's directory and its passphrase, and keeping the settings file as it is committed when a stack is made.
Does not own: what a stack consists of. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import checkout
from lab.commands import Commands


@dataclass(frozen=True)
class Backend:
    """The backend, seen from one stack."""

    commands: Commands

    def select(self) -> None:
        """Select the stack, made first where it is not there."""
        self._keep()
        if self.commands.stack not in self.stacks():
            self._init()
        self.commands.must(["pulumi", "stack", "select", self.commands.stack, "--non-interactive"])

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Within it the stack can be previewed; one that is not there is held by a backend that ends with it."""
        self._keep()
        if self.commands.stack in self.stacks():
            yield
            return
        environment = self.commands.environment
        before = environment["PULUMI_BACKEND_URL"]
        with tempfile.TemporaryDirectory() as place:
            environment["PULUMI_BACKEND_URL"] = f"file://{place}"
            try:
                self._init()
                yield
            finally:
                environment["PULUMI_BACKEND_URL"] = before

    def _keep(self) -> None:
        """Make sure that there is a directory for states, and a passphrase for what is secret in them."""
        secret = checkout.LAB / "passphrase"
        (checkout.LAB / "state").mkdir(parents=True, exist_ok=True)
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(os.urandom(24).hex())

    def _init(self) -> None:
        # `stack init` writes a salt into Pulumi.<stack>.yaml: let it write into a copy.
        with tempfile.TemporaryDirectory() as copy:
            for file in ("Pulumi.yaml", f"Pulumi.{self.commands.stack}.yaml"):
                shutil.copy(checkout.ROOT / file, copy)
            argv = ["pulumi", "stack", "init", self.commands.stack, "--non-interactive"]
            self.commands.must(argv, directory=Path(copy))

    def stacks(self) -> dict[str, int]:
        """The project's stacks and how many resources each holds; none before the engine is set up."""
        if not (checkout.LAB / "state").exists() or not shutil.which("pulumi", path=self.commands.environment["PATH"]):
            return {}
        listing = self.commands.must(["pulumi", "stack", "ls", "--json", "--non-interactive"])
        return {stack["name"]: stack.get("resourceCount", 0) for stack in json.loads(listing)}

    def remove(self) -> None:
        """Remove the stack, which holds nothing any more."""
        self.commands.must(["pulumi", "stack", "rm", self.commands.stack, "--yes", "--preserve-config"])

    def outputs(self) -> dict[str, Any]:
        """The stack's last outputs, secrets masked."""
        argv = ["pulumi", "stack", "output", "--json", "--stack", self.commands.stack, "--non-interactive"]
        done = self.commands.caught(argv)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}
