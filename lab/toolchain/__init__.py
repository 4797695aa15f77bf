"""The tools that everything else runs with: Debian packages, .venv, the Pulumi CLI, its language host and plugins.

Owns: `.venv`, `.lab/bin`, `.lab/pulumi-home` and the cache of built tools. Does not own: the lab's hypervisor and
images, nor anybody's own Pulumi. Standard library only, because it runs before the virtual environment exists.
For each tool: what is installed and new enough is used; else the official download, if it can be reached; else a build
from the Go modules pinned below this directory.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from lab.checkout import LAB
from lab.progress import say
from lab.toolchain import engine, packages, plugins, venv

STEPS = ("packages", "venv", "pulumi", "plugins")


def up(only: Collection[str] = (), *, lab: bool = True, tests: bool = False) -> None:
    """Set up what is missing, all of it or the steps named. Quick when nothing is missing. Raises StepFailed.

    Without `lab`, of the packages only those that Pulumi itself needs, to work on a libvirt host elsewhere; with
    `tests`, what checks and tests need on top.
    """
    steps: dict[str, Callable[[], None]] = {
        "packages": lambda: packages.up(lab=lab, tests=tests),
        "venv": lambda: venv.up(tests=tests),
        "pulumi": engine.up,
        "plugins": plugins.up,
    }
    with _alone():
        for name in STEPS:
            if not only or name in only:
                steps[name]()


def status() -> list[tuple[str, str]]:
    """Say of each tool which one is in use, or what is missing."""
    return [*packages.status(), *venv.status(), *engine.status(), *plugins.status()]


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time change the tools."""
    LAB.mkdir(exist_ok=True)
    with (LAB / "toolchain.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run in this checkout, which sets up the tools")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
