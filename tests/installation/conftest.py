"""The agent in this process, with its own directories below the test's, and a cluster's API to talk to."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.installation.fake_api import FakeApi, write_set


class Agent:
    """The agent's modules, freshly imported with every directory of the host below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = self.load("files")
        for name in ("STAGE", "LOCKS", "SECRETS", "JOURNAL", "STATE", "RELEASE"):
            setattr(files, name, str(root / name.lower()))
        files.SMOKE = f"{files.STATE}/smoke"
        self.release = Path(files.RELEASE)

    def load(self, name: str) -> Any:
        """A module of the agent, such as `installation.join`."""
        return importlib.import_module(f"okd_host.{name}")

    def waits(self, name: str, seconds: float) -> None:
        """Have a limit of the agent's table end after so many seconds, in this test."""
        limits = self.load("limits")
        assert name in limits.TABLE
        setattr(limits, name, limits.TABLE[name]._replace(seconds=seconds))

    @property
    def failed(self) -> type[Exception]:
        """What a verb raises that cannot go on."""
        kind: type[Exception] = self.load("report").Failed
        return kind


def _forget() -> None:
    for loaded in [name for name in sys.modules if name.split(".")[0] == "okd_host"]:
        del sys.modules[loaded]


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Agent]:
    """The host agent with directories of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    _forget()
    yield Agent(tmp_path / "host")
    _forget()


@pytest.fixture
def cluster() -> Iterator[FakeApi]:
    """A cluster's API that answers."""
    api = FakeApi()
    yield api
    api.stop()


@pytest.fixture
def api(agent: Agent, cluster: FakeApi) -> FakeApi:
    """The same, with its set and credentials on the agent's host."""
    write_set(agent.release / "install", cluster)
    return cluster


def in_memory() -> list[str]:
    """This process's open descriptors on the agent's files in memory. A closed one's number is soon another file's."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        # The listing's own descriptor is closed again.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [link for link in found if link.startswith("/memfd:okd-host")]
