"""One stack from the command line: `python3 -m lab.stack up|preview|status|stop|start|output|down|shell STACK`.

Owns: what has to stand before `pulumi` can run (toolchain, and for a stack in the lab its hypervisor, images and
upstream), showing which `pulumi` command is run, when one is run a second time, and when the lab, which all stacks of
the checkout share, is ended. Does not own: the stack; everything here works with plain `pulumi` commands in
`make shell`. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterable
from typing import TextIO

from lab import (
    checkout,
    facts,
    hypervisor,
    image,
    namespaces,
    power,
    ready,
    release,
    residents,
    status,
    toolchain,
    turn,
    update,
    upstream,
)
from lab.backend import Backend
from lab.commands import Commands
from lab.interrupted import Interrupted
from lab.progress import StepFailed, fail, say

VERBS = {
    "up": "set up what is missing, then `pulumi up`",
    "preview": "`pulumi preview`: what `up` would change",
    "status": "services, mirror, machines and cluster in a table",
    "stop": "shut the cluster down in good order, the services host last",
    "start": "start what `stop` shut down, until every node is Ready",
    "output": "the stack's outputs as JSON, secrets masked",
    "down": "`pulumi destroy`, then stop the lab and leave nothing",
    "clean": "`down`, then remove .lab, .venv and build",
    "shell": "a shell in which plain `pulumi` and `virsh` commands work on the stack",
    "prepare": "toolchain, images, hypervisor and stack, without running `pulumi up`",
}
# These would fail if another stack's `down` ended the lab meanwhile. A shell would not let it end for hours.
USING = ("up", "preview", "start", "prepare")


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
    parser.add_argument("--watch", type=float, default=0, metavar="SECONDS", help="status: again and again")
    parser.add_argument("--force", action="store_true", help="stop: even when a node is not Ready")
    parser.add_argument("--all", action="store_true", help="down: the protected volume of the registry as well")
    words = parser.parse_args(argv)
    try:
        stack = Stack(
            words.stack, in_lab=not words.own_libvirt, watch=words.watch, force=words.force, everything=words.all
        )
        return stack.run(words.verb)
    except (StepFailed, OSError) as error:
        return fail(ready.explained(error))
    except KeyboardInterrupt:
        return ready.interrupted()


class Stack:
    """One stack and where its `pulumi` commands run: inside the lab's namespaces or right here."""

    def __init__(
        self, name: str, *, in_lab: bool, watch: float = 0, force: bool = False, everything: bool = False
    ) -> None:
        self.name = name
        self.in_lab = in_lab
        self.commands = Commands(name, in_lab=in_lab)
        # Another stack may be selected meanwhile: plain `pulumi` in this one's shell keeps to this one.
        self.commands.environment["PULUMI_STACK"] = name
        self._backend = Backend(self.commands)
        self._watch, self._force, self._everything = watch, force, everything

    def run(self, verb: str) -> int:
        """Run a verb; return an exit code."""
        ready.check(self.name, verb, in_lab=self.in_lab)
        if not self.in_lab and self.name in residents.stacks():
            raise StepFailed(
                f"stack {self.name} stands in this checkout's lab, not on the libvirt that its settings name",
                remedy=f"add LAB=1: make {verb} STACK={self.name} LAB=1",
            )
        at_work = residents.using() if self.in_lab and verb in USING else contextlib.nullcontext()
        with turn.of(self.name, verb), at_work:
            return getattr(self, verb)() or 0

    def prepare(self, *, select: bool = True) -> None:
        """Set up all that is missing; quick when nothing is."""
        with residents.setting_up():
            toolchain.up(only=("packages", "venv"), lab=self.in_lab)
            ready.settings(self.name, in_lab=self.in_lab)
            toolchain.up(only=("pulumi", "plugins"))
            if self.in_lab:
                tools = release.start()
                image.build()
                hypervisor.up()
                tools.wait()
                upstream.up()
        if select:
            self._backend.select()

    def up(self) -> int:
        """Bring the stack up."""
        self.prepare()
        self._settle()
        code, told = update.run(self.commands)
        if code == 0 and (why := update.another(self._backend.outputs())):
            say(why)
            code, told = update.run(self.commands)
        if code == 0:
            say("the stack is up; its outputs (secrets masked; `make output` shows them again):")
            return self.output()
        update.say_machines(self.commands, told)
        say("`pulumi up` failed; what it did is kept: correct the cause and run `make up` again, it goes on from there")
        return code

    def preview(self) -> int:
        """Show what `up` would change; a stack that was not there before is not there afterwards."""
        self.prepare(select=False)
        with self._backend.looked_at():
            return self._pulumi("preview", "--diff")

    def status(self) -> int:
        """Show what the stack is doing, once or again and again."""
        if self.in_lab and not namespaces.processes():
            print(f"stack {self.name}: the lab is not running; `make up` starts it")
            return 0
        known = facts.of(self.name)
        looker = status.Looker(self.commands, known)
        print(status.table(self.name, known, looker.look()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while self._watch:
                time.sleep(self._watch)
                shown = status.table(self.name, known, looker.look())
                # A terminal is cleared, so that the table stays where it is.
                print(f"\x1b[H\x1b[2J{shown}" if sys.stdout.isatty() else f"\n{shown}", flush=True)
        return 0

    def stop(self) -> int:
        """Shut the whole stack down, nothing lost."""
        return power.stop(self.commands, facts.of(self.name), force=self._force)

    def start(self) -> int:
        """Start the whole stack again."""
        if self.in_lab:
            hypervisor.up()
            upstream.up()
        return power.start(self.commands, facts.of(self.name))

    def output(self) -> int:
        """Print the outputs as JSON, and nothing else on stdout."""
        return self._pulumi("stack", "output", "--json", say_on=sys.stderr)

    def down(self) -> int:
        """Destroy the stack, then end the lab unless another stack stands in it."""
        if self.name in self._backend.stacks():
            if self.in_lab:
                hypervisor.up()
            self._settle()
            if self._everything:
                self._pulumi("state", "unprotect", "--all", "--yes")
            code = self._pulumi("destroy", "--yes", "--skip-preview", "--exclude-protected")
            if code:
                say("`pulumi destroy` failed; the lab is kept so that `make down` can be run again")
                return code
            if self._backend.stacks()[self.name]:
                say("kept: the registry's volume (services.protectRegistry), and the pool that it is in")
                say("`make up` takes it into use again; `make down ALL=1` removes it as well")
                return 0
            self._backend.remove()
        if self.in_lab:
            self._end_lab()
        return 0

    def _end_lab(self) -> None:
        with residents.ending() as alone:
            if others := sorted(residents.stacks() - {self.name}):
                say(f"the lab goes on, since {', '.join(others)} stands in it: make down STACK={others[0]} LAB=1")
            elif not alone:
                say("the lab goes on, since another run works in it: `make down` ends it afterwards")
            else:
                upstream.down()
                hypervisor.down()

    def clean(self) -> int:
        """Destroy the stack, end the lab, and remove what was set up in the checkout."""
        self._refuse_losing(name for name in self._backend.stacks() if name != self.name)
        code = self.down()
        if code:
            return code
        self._refuse_losing(self._backend.stacks())
        for directory in (checkout.LAB, checkout.ROOT / ".venv", checkout.ROOT / "build"):
            shutil.rmtree(directory, ignore_errors=True)
        say("removed .lab, .venv and build; the cache in ~/.cache/okd-libvirt stays")
        return 0

    def _refuse_losing(self, names: Iterable[str]) -> None:
        """Refuse to remove the state of stacks that are still there."""
        counts, inside = self._backend.stacks(), residents.stacks()
        if left := sorted(name for name in names if counts[name]):
            orders = [f"make down STACK={name}{' LAB=1' if name in inside else ''} ALL=1" for name in left]
            raise StepFailed(
                f"{checkout.LAB / 'state'} still holds {', '.join(left)}: without it nobody could destroy them",
                remedy=f"first run: {'; '.join(orders)}",
            )

    def shell(self) -> int:
        """Open a shell where plain `pulumi` commands work."""
        self.prepare()
        shell = os.environ.get("SHELL", "/bin/sh")
        say(f"this shell works on stack {self.name} with plain `pulumi` and `virsh` commands; leave it with exit")
        return self.commands.shown([shell])

    def _settle(self) -> None:
        """Put in order what a killed run left, so that this one can go on where it stopped."""
        commands = self.commands
        Interrupted(commands.project, self.name, commands.environment, commands.caught).settle()

    def _pulumi(self, *words: str, say_on: TextIO | None = None) -> int:
        argv = ["pulumi", *words, "--stack", self.name, "--non-interactive"]
        say(f"running: {' '.join(argv)}", say_on)
        return self.commands.shown(argv) if say_on else self.commands.followed(argv)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
