"""Copies of this checkout with labs of their own, so that a lab that somebody runs here is left alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.patience import BOOT_SECONDS, PATIENCE_SECONDS


@dataclass
class Lab:
    """A copy of the modules that the lab is made of; every command runs as a user would run it there."""

    root: Path

    def module(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `python3 -m WORDS` in the copy; its exit code is left to the caller."""
        argv = [sys.executable, "-m", *words]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(self.root), "HOME": str(Path.home())}
        where = cwd or self.root
        return subprocess.run(argv, cwd=where, env=environment, capture_output=True, text=True, timeout=BOOT_SECONDS)

    def ok(self, *words: str) -> str:
        """Run `python3 -m WORDS`, which must succeed, and return what it printed."""
        done = self.module(*words)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, *argv: str) -> str:
        """Run a command in the lab, which must succeed, and return what it printed."""
        return self.ok("lab.hypervisor", "enter", "--", *argv)

    def processes(self) -> dict[str, list[int]]:
        """The lab's processes as the lab itself finds them: pids by name."""
        listing = "from lab import namespaces\nfor one in namespaces.processes(): print(one.pid, one.name)"
        done = subprocess.run(
            [sys.executable, "-c", listing],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_SECONDS,
        )
        found: dict[str, list[int]] = {}
        for line in done.stdout.splitlines():
            pid, name = line.split(" ", 1)
            found.setdefault(name, []).append(int(pid))
        return found


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Lab]]:
    """Two copies, neither of them up."""
    made = (_copy(tmp_path_factory.mktemp("one")), _copy(tmp_path_factory.mktemp("two")))
    yield made
    for lab in made:
        lab.ok("lab.hypervisor", "down")


@pytest.fixture
def lab(labs: tuple[Lab, Lab]) -> Lab:
    """The first copy, its hypervisor up (kept up for the tests that follow)."""
    labs[0].ok("lab.hypervisor", "up")
    return labs[0]


def _copy(root: Path) -> Lab:
    for package in ("lab", "cluster"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return Lab(root)
