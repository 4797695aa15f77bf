from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run
from typing import Any, NamedTuple

import pytest

from lab.release import tools
from lab.toolchain import golang
from tests.ignition.world import Site
from tests.scripts.host import Host

WHERE = ("var/lib/okd-registry/okd-libvirt", "var/www/okd")

VALIDATOR = Path(__file__).resolve().parents[2] / "lab" / "release" / "ignition"


@pytest.fixture(scope="session")
def installer() -> Path:
    """The real openshift-install; built by the lab."""
    return tools.installer()


@pytest.fixture(scope="session")
def validate() -> Callable[[Path], str]:
    """Let the parser that CoreOS boots with judge every ignition config in a directory; what it says."""
    program = golang.build(VALIDATOR, ".", "ignition-validate", golang.sources_hash(VALIDATOR, ["."]))

    def judge(directory: Path) -> str:
        done = run([program, *sorted(directory.glob("*.ign"))], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return judge


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    try:
        yield made
    finally:
        made.close()


class Made(NamedTuple):
    """A set as an archive, and what was reported when it was made."""

    archive: bytes
    result: dict[str, Any]


def _made(installer: Path, hours: float) -> Made:
    host = Host()
    try:
        site = Site(host, installer)
        result = site.ignition(hours=hours)
        archive = run(host.argv(["tar", "-c", "-C", "/", *WHERE]), capture_output=True, check=True).stdout
        site.close()
    finally:
        host.close()
    return Made(archive, result)


@pytest.fixture(scope="session")
def fresh_set(installer: Path) -> Made:
    """A set made just now."""
    return _made(installer, 0)


@pytest.fixture(scope="session")
def old_set(installer: Path) -> Made:
    """A set that the real installer made 13 hours ago, by the clock that it saw."""
    return _made(installer, -13)


def _restored(site: Site, made: Made) -> Site:
    run(site.host.argv(["tar", "-x", "-p", "-C", "/"]), input=made.archive, check=True)
    site.first = made.result
    return site


@pytest.fixture
def settled(site: Site, fresh_set: Made) -> Site:
    """A services host with a set made just now."""
    return _restored(site, fresh_set)


@pytest.fixture
def aged(site: Site, old_set: Made) -> Site:
    """A services host 13 hours after its set was made."""
    return _restored(site, old_set)


@pytest.fixture
def site(host: Host, installer: Path) -> Iterator[Site]:
    """A services host with the release's installer; no set was made yet."""
    made = Site(host, installer)
    try:
        yield made
    finally:
        made.close()
