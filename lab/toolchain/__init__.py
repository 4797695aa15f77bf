"""The tools that everything else runs with: Debian packages, .venv, the Pulumi CLI, its language host and plugins.

Owns: `.venv`, `.lab/bin`, `.lab/pulumi-home` and the cache of built tools. Does not own: the lab's hypervisor and
images, nor anybody's own Pulumi. Standard library only, because it runs before the virtual environment exists.
For each tool: what is installed and new enough is used; else the official download, if it can be reached; else a build
from the Go modules pinned below this directory.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from lab.checkout import LAB
from lab.progress import StepFailed
from lab.toolchain import engine, packages, plugins, venv
from lab.toolchain.versions import MINIMUM_PYTHON

STEPS: dict[str, Callable[[], None]] = {
    "packages": packages.up,
    "venv": venv.up,
    "pulumi": engine.up,
    "plugins": plugins.up,
}


def up(only: Collection[str] = ()) -> None:
    """Set up what is missing, all of it or the steps named. Quick when nothing is missing. Raises StepFailed."""
    if sys.version_info < MINIMUM_PYTHON:
        raise StepFailed(
            f"Python {sys.version.split()[0]} is too old",
            remedy=f"run it with Python {'.'.join(map(str, MINIMUM_PYTHON))} or newer",
        )
    with _alone():
        for name, step in STEPS.items():
            if not only or name in only:
                step()


def status() -> list[tuple[str, str]]:
    """Say of each tool which one is in use, or what is missing."""
    return [*packages.status(), *venv.status(), *engine.status(), *plugins.status()]


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time change the tools."""
    LAB.mkdir(exist_ok=True)
    with (LAB / "toolchain.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
