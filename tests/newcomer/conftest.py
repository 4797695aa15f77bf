"""A fresh clone for a newcomer to make mistakes in, the tools that were set up here lent to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.checkout import LAB
from lab.toolchain import venv
from tests.conftest import ROOT, stack_config
from tests.patience import BOOT_SECONDS

_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".lab", ".venv", ".*_cache", ".hypothesis", "__pycache__", "build", "tests", "docs"
)
_EVERYWHERE = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
NOBODY = 65534
STACK = "mine"
_PULL_SECRET = '{"auths": {"registry.example": {"auth": "YTpi"}}}'
NOWHERE = "qemu+tcp://127.0.0.1:1/system"


class Clone:
    """A checkout as it is after `git clone`; `make` runs there as a newcomer would run it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root.with_name(f"{root.name}-cache")
        shutil.copytree(ROOT, root, ignore=_LEFT_OUT)
        self.settings = root / f"Pulumi.{STACK}.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """What a login shell has, and a cache of the clone's own."""
        return {
            "PATH": "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.cache / "home"),
            "XDG_CACHE_HOME": str(self.cache),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def argv(self, *words: str, user: int = 0) -> list[str]:
        """The command line of `make WORDS` for a user."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return [*as_user, "make", "--no-print-directory", *words]

    def make(
        self, *words: str, user: int = 0, before: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `make WORDS`, led by other words if need be; what it prints is one text."""
        return self.run(*before, *self.argv(*words, user=user), **environment)

    def run(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone; what it prints is one text."""
        return subprocess.run(
            argv, cwd=self.root, env={**self.environment, **environment}, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BOOT_SECONDS, check=False,
        )  # fmt: skip

    def lend_tools(self, *, engine: bool = True) -> None:
        """Put the tools that `make toolchain` has set up in this checkout into the clone, Pulumi among them or not."""
        assert (LAB / "bin" / "pulumi").exists(), "the Pulumi engine is missing: run `make toolchain`"
        mine = self.root / ".venv"
        mine.mkdir()
        for path in venv.VENV.iterdir():
            (mine / path.name).symlink_to(path)
        # A stamp of the clone's own: whatever is missing, nothing is installed into what is lent.
        for file in venv._FILES:
            (mine / venv._stamp(file).name).unlink(missing_ok=True)
            (mine / venv._stamp(file).name).write_text(venv._wanted(file))
        mine = self.root / ".lab"
        mine.mkdir()
        if not engine:
            return
        (mine / "pulumi-home").mkdir()
        (mine / "pulumi-home" / "plugins").symlink_to(LAB / "pulumi-home" / "plugins")
        shutil.copy(LAB / "pulumi-home" / "sources.json", mine / "pulumi-home")
        (mine / "bin").mkdir()
        for path in (LAB / "bin").iterdir():
            shutil.copy(path, mine / "bin")

    def write(self, **changes: Mapping[str, Any]) -> None:
        """Write the settings of a stack: dev's, without what only the lab has, and with some sections changed."""
        config = stack_config("dev")
        del config["release"]["trustedCertificates"]
        for section, values in changes.items():
            config[section] = {**config.get(section, {}), **values}
        document = {"config": {f"okd-libvirt:{name}": value for name, value in config.items()}}
        self.settings.write_text(yaml.safe_dump(document))

    def give_to(self, user: int) -> None:
        """Make the clone and its cache another user's."""
        self.cache.mkdir(exist_ok=True)
        for path in [self.root, self.cache, *self.root.rglob("*")]:
            os.chown(path, user, user)

    def plain(self, **environment: str) -> dict[str, str]:
        """The environment of a user who has Pulumi on PATH and the state's place set, and no more."""
        return {
            "PATH": f"{self.root}/.lab/bin:{self.environment['PATH']}",
            "PULUMI_HOME": f"{self.root}/.lab/pulumi-home",
            "PULUMI_BACKEND_URL": f"file://{self.root}/.lab/state",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            **environment,
        }

    def files(self) -> set[str]:
        """Everything in the clone and in its cache."""
        trees = [path for top in (self.root, self.cache) for path in top.rglob("*")]
        return {str(path) for path in trees if "__pycache__" not in path.parts}


@pytest.fixture
def clone() -> Iterator[Clone]:
    """A clone in which nothing was ever run; another user can read it."""
    with tempfile.TemporaryDirectory(prefix="okd-libvirt-newcomer-") as directory:
        Path(directory).chmod(0o755)
        yield Clone(Path(directory) / "okd-libvirt")


@pytest.fixture(scope="session")
def tooled() -> Iterator[Clone]:
    """A clone with all tools and a stack that was made but never brought up, shared by the tests.

    Its libvirt host is one that nobody can reach.
    """
    with tempfile.TemporaryDirectory(prefix="okd-libvirt-newcomer-") as directory:
        made = Clone(Path(directory) / "okd-libvirt")
        made.lend_tools()
        made.write(hypervisor={"uri": NOWHERE, "accelerator": "qemu"})
        done = made.run("python3", "-m", "lab.stack", "prepare", STACK, "--own-libvirt")
        assert done.returncode == 0, done.stdout
        secret = ("--path", "--secret", "okd-libvirt:release.pullSecret", _PULL_SECRET, "--stack", STACK)
        done = made.run(
            "pulumi", "config", "set", *secret, **made.plain(PULUMI_CONFIG_PASSPHRASE_FILE=".lab/passphrase")
        )
        assert done.returncode == 0, done.stdout
        shutil.copytree(made.root / ".lab" / "state", Path(directory) / "state")
        yield made


@pytest.fixture
def made(tooled: Clone) -> Iterator[Clone]:
    """The clone with all tools; its settings, state and passphrase are for the test to spoil."""
    lab, settings = tooled.root / ".lab", tooled.settings.read_text()
    passphrase = (lab / "passphrase").read_text()
    yield tooled
    tooled.settings.write_text(settings)
    (lab / "passphrase").write_text(passphrase)
    shutil.rmtree(lab / "state")
    shutil.copytree(tooled.root.parent / "state", lab / "state")


def told(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """What a failed command said, which holds all of these words and nothing that only a developer understands."""
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    for word in words:
        assert word in done.stdout, f"{word!r} is missing in:\n{done.stdout}"
    return done.stdout


def only(directory: Path, *programs: str) -> str:
    """A PATH on which there are these programs alone."""
    directory.mkdir()
    for name in programs:
        # A version manager's `python3` is a script that calls more programs.
        found = sys._base_executable if name == "python3" else shutil.which(name, path=_EVERYWHERE)
        assert found, name
        (directory / name).symlink_to(found)
    return str(directory)
