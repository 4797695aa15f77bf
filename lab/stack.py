"""One stack from the command line: `python3 -m lab.stack up|preview|status|output|down|shell|pulumi STACK`.

Owns: what has to stand before `pulumi` can run (toolchain, and for a stack in the lab its hypervisor, images and
upstream), and showing which `pulumi` command is run. Does not own: the stack; everything here works with plain
`pulumi` commands in `make shell`. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lab import checkout, hypervisor, image, namespaces, release, toolchain, upstream
from lab.progress import StepFailed, fail, say

SALT = "encryptionsalt:"
VERBS = {
    "up": "set up what is missing, then `pulumi up`",
    "preview": "`pulumi preview`: what `up` would change",
    "status": "what runs in the lab, and what the stack holds",
    "output": "the stack's outputs as JSON, secrets masked",
    "down": "`pulumi destroy`, then stop the lab and leave nothing",
    "clean": "`down`, then remove .lab, .venv and build",
    "shell": "a shell in which plain `pulumi` and `virsh` commands work on the stack",
    "prepare": "toolchain, images, hypervisor and stack, without running `pulumi up`",
}


def main(argv: list[str]) -> int:
    """Run one verb for one stack; return the exit code."""
    verbs = "\n".join(f"  {verb:8} {does}" for verb, does in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="python3 -m lab.stack", epilog=f"verbs:\n{verbs}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=VERBS, metavar="VERB")
    parser.add_argument("stack", help="the stack's name: settings in Pulumi.STACK.yaml")
    parser.add_argument(
        "--own-libvirt",
        action="store_true",
        help="use the libvirt of the stack's hypervisor.uri as this machine reaches it, not the lab's",
    )
    words = parser.parse_args(argv)
    try:
        return Stack(words.stack, in_lab=not words.own_libvirt).run(words.verb)
    except StepFailed as error:
        return fail(error)


class Stack:
    """One stack and where its `pulumi` commands run: inside the lab's namespaces or right here."""

    def __init__(self, name: str, *, in_lab: bool) -> None:
        self.name = name
        self.in_lab = in_lab
        self.environment = checkout.environment() if in_lab else {**checkout.environment(), **os.environ}
        self.environment["PATH"] = checkout.environment()["PATH"]
        # The passphrase's salt then lives in the state alone, and Pulumi.<stack>.yaml stays as it is committed.
        self.environment["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] = "true"

    def run(self, verb: str) -> int:
        """Run a verb; return an exit code."""
        if not (checkout.ROOT / f"Pulumi.{self.name}.yaml").exists():
            known = sorted(path.name.split(".")[1] for path in checkout.ROOT.glob("Pulumi.*.yaml"))
            raise StepFailed(
                f"no stack {self.name}: there is no Pulumi.{self.name}.yaml (there are: {', '.join(known)})",
                remedy=f"copy Pulumi.prod.yaml to Pulumi.{self.name}.yaml and edit it, or name another stack",
            )
        return getattr(self, verb)() or 0

    def prepare(self) -> None:
        """Set up all that is missing; quick when nothing is."""
        toolchain.up()
        if self.in_lab:
            tools = release.start()
            image.build()
            hypervisor.up()
            tools.wait()
            upstream.up()
        self._select()

    def up(self) -> int:
        """Bring the stack up."""
        self.prepare()
        code = self._pulumi("up", "--yes", "--skip-preview")
        if code == 0:
            say("the stack is up; its outputs (secrets masked; `make output` shows them again):")
            return self.output()
        say("`pulumi up` failed; what it did is kept: correct the cause and run `make up` again, it goes on from there")
        return code

    def preview(self) -> int:
        """Show what `up` would change."""
        self.prepare()
        return self._pulumi("preview", "--diff")

    def status(self) -> int:
        """Show what runs and what the stack holds."""
        if self.in_lab:
            hypervisor.status()
            if not namespaces.processes():
                return 0
        return self._pulumi("stack")

    def output(self) -> int:
        """Print the outputs as JSON, and nothing else on stdout."""
        return self._pulumi("stack", "output", "--json", say_on=sys.stderr)

    def down(self) -> int:
        """Destroy the stack, then end the lab."""
        if self._exists():
            if self.in_lab:
                hypervisor.up()
            code = self._pulumi("destroy", "--yes", "--skip-preview")
            if code:
                say("`pulumi destroy` failed; the lab is kept so that `make down` can be run again")
                return code
            self._quiet(["pulumi", "stack", "rm", self.name, "--yes", "--preserve-config"], checkout.ROOT)
        if self.in_lab:
            upstream.down()
            hypervisor.down()
        return 0

    def clean(self) -> int:
        """Destroy the stack, end the lab, and remove what was set up in the checkout."""
        code = self.down()
        if code:
            return code
        if left := [name for name, resources in self._stacks().items() if resources]:
            raise StepFailed(
                f"{checkout.LAB / 'state'} still holds {', '.join(left)}: without it nobody could destroy them",
                remedy=f"first run: {'; '.join(f'make down STACK={name}' for name in left)}",
            )
        for directory in (checkout.LAB, checkout.ROOT / ".venv", checkout.ROOT / "build"):
            shutil.rmtree(directory, ignore_errors=True)
        say("removed .lab, .venv and build; the cache in ~/.cache/okd-libvirt stays")
        return 0

    def shell(self) -> int:
        """Open a shell where plain `pulumi` commands work."""
        self.prepare()
        shell = os.environ.get("SHELL", "/bin/sh")
        say(f"this shell works on stack {self.name} with plain `pulumi` and `virsh` commands; leave it with exit")
        return self._run([shell])

    def _select(self) -> None:
        secret = checkout.LAB / "passphrase"
        checkout.LAB.mkdir(exist_ok=True)
        (checkout.LAB / "state").mkdir(exist_ok=True)
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(os.urandom(24).hex())
        if not self._exists():
            # `stack init` writes a salt into Pulumi.<stack>.yaml: let it write into a copy.
            with tempfile.TemporaryDirectory() as copy:
                for name in ("Pulumi.yaml", f"Pulumi.{self.name}.yaml"):
                    shutil.copy(checkout.ROOT / name, copy)
                self._quiet(["pulumi", "stack", "init", self.name, "--non-interactive"], Path(copy))
        self._quiet(["pulumi", "stack", "select", self.name, "--non-interactive"], checkout.ROOT)

    def _exists(self) -> bool:
        return self.name in self._stacks()

    def _stacks(self) -> dict[str, int]:
        """The project's stacks and how many resources each holds; none before the engine is set up."""
        if not (checkout.LAB / "state").exists() or not shutil.which("pulumi", path=self.environment["PATH"]):
            return {}
        listing = self._quiet(["pulumi", "stack", "ls", "--json", "--non-interactive"], checkout.ROOT)
        return {stack["name"]: stack.get("resourceCount", 0) for stack in json.loads(listing)}

    def _quiet(self, argv: list[str], directory: Path) -> str:
        done = subprocess.run(argv, cwd=directory, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StepFailed(
                " ".join(argv),
                done.stderr.strip().splitlines(),
                "see the lines above; `make toolchain` repairs the tools",
            )
        return done.stdout

    def _pulumi(self, *words: str, say_on: TextIO | None = None) -> int:
        argv = ["pulumi", *words, "--stack", self.name, "--non-interactive"]
        say(f"running: {' '.join(argv)}", say_on)
        return self._run(argv)

    def _run(self, argv: list[str]) -> int:
        where = namespaces.join(argv, directory=checkout.ROOT) if self.in_lab else argv
        sys.stdout.flush()
        # A first Ctrl-C is for pulumi, which then ends in good order; this process waits for it.
        with self._unsalted(), subprocess.Popen(where, env=self.environment, cwd=checkout.ROOT) as child:
            while True:
                try:
                    return child.wait()
                except KeyboardInterrupt:
                    continue

    @contextmanager
    def _unsalted(self) -> Iterator[None]:
        """Keep the settings file as it is committed: Pulumi writes the salt, which the state holds too, into it."""
        settings = checkout.ROOT / f"Pulumi.{self.name}.yaml"
        salted = SALT in settings.read_text()
        try:
            yield
        finally:
            text = settings.read_text()
            if not salted and SALT in text and "secure:" not in text:
                kept = [line for line in text.splitlines(keepends=True) if not line.startswith(SALT)]
                settings.write_text("".join(kept))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
