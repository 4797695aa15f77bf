"""Whether a command can be begun, looked at before anything is set up.

Owns: one report of all that stands in the way, and errors of the system told so that they say what to do. Does not own:
setting anything up; the settings' meaning (cluster/); what the libvirt host says (components/host_look.py). Standard
library only.
"""

from __future__ import annotations

import difflib
import errno
import os
import subprocess
import sys
from collections.abc import Callable

from lab import checkout, passphrase, remedies, state, surroundings
from lab.obstacles import NotReady, Obstacle
from lab.progress import StepFailed
from lab.toolchain import venv

_SETTING_UP = ("up", "preview", "shell", "prepare")
_GOING_ON = ("stop", "start", "output")


def check(stack: str, verb: str, *, in_lab: bool) -> None:
    """Look at all that a verb needs. Raises NotReady."""
    which = "" if stack == "dev" else f" STACK={stack}{' LAB=1' if in_lab else ''}"
    looks: list[Callable[[], list[Obstacle]]] = [lambda: _named(stack), lambda: _root(f"make {verb}{which}", in_lab)]
    if verb in _SETTING_UP:
        looks += [_writable, *([surroundings.obstacles] if in_lab else [])]
    if verb in _GOING_ON:
        looks += [lambda: _made(stack, f"make up{which}", in_lab)]
    looks += [lambda: passphrase.obstacles(in_lab=in_lab)]
    if found := [one for look in looks for one in look()]:
        raise NotReady(found)


def settings(stack: str, *, in_lab: bool) -> None:
    """Check a stack's settings before time is spent on what they would refuse in the end. Raises StepFailed."""
    argv = [str(venv.PYTHON), "-m", "cluster.review", "--stack", stack]
    if state.elsewhere(in_lab=in_lab) or stack in state.stacks():
        argv.append("--stands")
    done = subprocess.run(argv, cwd=checkout.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed((done.stderr or done.stdout).strip())


def explained(error: StepFailed | OSError) -> StepFailed:
    """The same error with the remedy that its cause has. Raises an OSError again that no user can do anything about."""
    if isinstance(error, StepFailed):
        found = remedies.of([error.what, *error.last_lines])
        return StepFailed(error.what, error.last_lines, "; ".join(found)) if found else error
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StepFailed(what, remedy=remedies.SPACE)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StepFailed(what, remedy=f"run it as {_owner()}, whose checkout this is, or as root")
    raise error


def interrupted() -> int:
    """Say what a Ctrl-C means, and return the exit code for it."""
    print("interrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
    return 130


def _named(stack: str) -> list[Obstacle]:
    if (checkout.ROOT / f"Pulumi.{stack}.yaml").is_file():
        return []
    files = checkout.ROOT.glob("Pulumi.*.yaml")
    known = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in files)
    near = difflib.get_close_matches(stack, known, 1, 0.5)
    ask = f"did you mean {near[0]}? Else " if near else ""
    return [
        Obstacle(
            f"no stack {stack}: there is no Pulumi.{stack}.yaml (there are: {', '.join(known)})",
            "a stack is what its settings say",
            f"{ask}copy Pulumi.prod.yaml to Pulumi.{stack}.yaml and edit it, or name another stack",
        )
    ]


def _made(stack: str, begin: str, in_lab: bool) -> list[Obstacle]:
    if state.elsewhere(in_lab=in_lab) or stack in state.stacks():
        return []
    return [Obstacle(f"stack {stack} is not there", "it was never brought up here, or is destroyed", f"begin: {begin}")]


def _root(again: str, in_lab: bool) -> list[Obstacle]:
    if os.geteuid() == 0 or not in_lab:
        return []
    return [
        Obstacle(
            f"not root (uid {os.geteuid()})",
            "the lab makes namespaces, networks and disk images: that takes root",
            f"run the same with sudo: sudo -E {again}",
        )
    ]


def _writable() -> list[Obstacle]:
    cache = checkout.cache("", "")
    fixes = {
        checkout.LAB: f"run it as {_owner()}, whose checkout this is, or clone into a directory of your own",
        cache: "set XDG_CACHE_HOME to a directory of your own",
    }
    return [
        Obstacle(f"{place} cannot be written by uid {os.geteuid()}", "what is set up is kept there", fix)
        for place, fix in fixes.items()
        if not os.access(surroundings.nearest(place), os.W_OK | os.X_OK)
    ]


def _owner() -> str:
    try:
        return checkout.ROOT.owner()
    except KeyError:
        return f"uid {checkout.ROOT.stat().st_uid}"
