"""Several stacks of one checkout: who stands in the lab, and when the lab ends."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cluster.names import Names
from lab import backend, checkout, ready, residents, stack
from lab.commands import Commands
from lab.progress import StepFailed
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def defined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the lab's libvirt has defined: nothing yet; and no run is at work in it."""
    for directory in ("storage/autostart", "qemu/networks/autostart"):
        (tmp_path / directory).mkdir(parents=True)
    monkeypatch.setattr(residents, "_DEFINED", tmp_path)
    monkeypatch.setattr(residents.checkout, "LAB", tmp_path / ".lab")
    return tmp_path


def define(place: Path, name: str, *, pool: bool = True, networks: bool = True) -> None:
    names = Names(name)
    if pool:
        (place / "storage" / f"{names.pool}.xml").touch()
    for network in (names.cluster_network, names.uplink_network) if networks else ():
        (place / "qemu/networks" / f"{network}.xml").touch()


@pytest.mark.parametrize("name", ["dev", "two-b", "dev-cluster", "a.b_c", "Uplink-uplink", "x" * 100])
@pytest.mark.parametrize("what", ["pool", "networks"])
def test_a_stack_stands_in_the_lab_from_its_first_object_to_its_last(defined: Path, name: str, what: str) -> None:
    define(defined, name, pool=what == "pool", networks=what == "networks")
    assert residents.stacks() == {name}


def test_a_lab_with_objects_of_somebodys_own_holds_no_stack(defined: Path) -> None:
    assert residents.stacks() == set()
    (defined / "storage" / "default.xml").touch()
    (defined / "qemu/networks" / "default.xml").touch()
    assert residents.stacks() == set()


class World:
    """A stack whose commands succeed; what is run, and what is ended, is written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int]) -> None:
        self.done: list[str] = []
        self.counts = counts
        for thing in ("hypervisor", "upstream"):
            for verb in ("up", "down"):
                monkeypatch.setattr(getattr(stack, thing), verb, lambda word=f"{thing} {verb}": self.done.append(word))
        monkeypatch.setattr(stack.ready, "check", lambda name, verb, *, in_lab: None)
        monkeypatch.setattr(stack.Stack, "_settle", lambda one: None)
        monkeypatch.setattr(backend.Backend, "stacks", lambda one: dict(self.counts))
        monkeypatch.setattr(backend.Backend, "remove", lambda one: self.done.append(f"rm {one.commands.stack}"))
        monkeypatch.setattr(stack.Stack, "_pulumi", lambda one, *words, **rest: self._pulumi(one, words))

    def _pulumi(self, one: stack.Stack, words: tuple[str, ...]) -> int:
        self.done.append(f"{words[0]} {one.name}")
        self.counts[one.name] = 0
        return 0


def test_the_lab_goes_on_while_another_stack_stands_in_it(
    defined: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(monkeypatch, {"dev": 80, "prod": 60})
    define(defined, "prod")
    assert stack.Stack("dev", in_lab=True).run("down") == 0
    assert world.done == ["hypervisor up", "destroy dev", "rm dev"]
    assert "prod stands in it: make down STACK=prod LAB=1" in capsys.readouterr().out


def test_the_lab_ends_with_its_last_stack(defined: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {"dev": 80, "prod": 60})
    define(defined, "dev")
    assert stack.Stack("dev", in_lab=True).run("down") == 0
    assert world.done[-2:] == ["upstream down", "hypervisor down"], "prod is on a libvirt of its own"


@pytest.mark.parametrize("verb", ["up", "preview", "start", "prepare"])
def test_the_lab_is_not_ended_while_a_run_of_another_stack_works_in_it(
    defined: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """Another stack's first `up` has nothing of its own there yet."""
    world = World(monkeypatch, {"dev": 80})

    def work(one: stack.Stack) -> int:
        return stack.Stack("dev", in_lab=True).run("down")

    monkeypatch.setattr(stack.Stack, verb, work)
    assert stack.Stack("prod", in_lab=True).run(verb) == 0
    assert world.done == ["hypervisor up", "destroy dev", "rm dev"]
    assert "another run works in it" in capsys.readouterr().out
    assert stack.Stack("dev", in_lab=True).run("down") == 0
    assert world.done[-1] == "hypervisor down"


def test_two_runs_set_up_one_after_the_other(defined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with residents.setting_up():
            order.append("second")

    with residents.setting_up():
        other = threading.Thread(target=second)
        other.start()
        said, deadline = "", time.monotonic() + PATIENCE_SECONDS
        while "waiting for another run" not in said:
            assert time.monotonic() < deadline, "the second one does not say that it waits"
            time.sleep(0.01)
            said += capsys.readouterr().out
        order.append("first")
    other.join(PATIENCE_SECONDS)
    assert order == ["first", "second"]


def test_a_stack_in_the_lab_is_not_looked_for_elsewhere(defined: Path) -> None:
    define(defined, "prod")
    with pytest.raises(StepFailed) as refused:
        stack.Stack("prod", in_lab=False).run("down")
    assert "stands in this checkout's lab" in str(refused.value)
    assert "make down STACK=prod LAB=1" in refused.value.remedy


def test_clean_destroys_nothing_while_another_stack_needs_its_state(
    defined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch, {"dev": 80, "prod": 60, "hard-way": 60})
    define(defined, "prod")
    with pytest.raises(StepFailed) as refused:
        stack.Stack("dev", in_lab=True).run("clean")
    assert world.done == []
    assert "make down STACK=prod LAB=1 ALL=1" in refused.value.remedy
    assert "make down STACK=hard-way ALL=1" in refused.value.remedy


def test_plain_pulumi_in_a_stacks_shell_keeps_to_that_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(stack.Stack, "prepare", lambda one: None)
    monkeypatch.setattr(Commands, "shown", lambda one, argv: seen.append(one.environment["PULUMI_STACK"]) or 0)
    for name in ("dev", "prod"):
        assert stack.Stack(name, in_lab=True).run("shell") == 0
    assert seen == ["dev", "prod"]


class Pulumi:
    """A backend's stacks by its URL; `stack init` writes a salt into the settings file that it finds."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands = Commands("dev", in_lab=True)
        self.stacks: dict[str, dict[str, int]] = {}
        monkeypatch.setattr(backend.checkout, "LAB", place)
        monkeypatch.setattr(backend.shutil, "which", lambda name, path: name)
        monkeypatch.setattr(self.commands, "must", self.must)

    @property
    def url(self) -> str:
        return self.commands.environment["PULUMI_BACKEND_URL"]

    def must(self, argv: list[str], directory: Path = checkout.ROOT) -> str:
        known = self.stacks.setdefault(self.url, {})
        if argv[2] == "ls":
            return json.dumps([{"name": name, "resourceCount": count} for name, count in known.items()])
        if argv[2] == "init":
            assert argv[3] not in known
            assert directory != checkout.ROOT
            (directory / f"Pulumi.{argv[3]}.yaml").write_text("encryptionsalt: x\n")
            known[argv[3]] = 0
        return ""


def test_a_stack_is_made_once_and_its_settings_file_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi = Pulumi(tmp_path, monkeypatch)
    before = (checkout.ROOT / "Pulumi.dev.yaml").read_text()
    for _ in range(2):
        backend.Backend(pulumi.commands).select()
    assert pulumi.stacks == {pulumi.url: {"dev": 0}}
    assert (checkout.ROOT / "Pulumi.dev.yaml").read_text() == before
    assert (tmp_path / "passphrase").stat().st_mode & 0o777 == 0o600


def test_a_preview_of_a_new_stack_leaves_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi = Pulumi(tmp_path, monkeypatch)
    own, one = pulumi.url, backend.Backend(pulumi.commands)
    with contextlib.suppress(StepFailed), one.looked_at():
        assert one.stacks() == {"dev": 0}
        raise StepFailed("the preview failed")
    assert pulumi.url == own
    assert pulumi.stacks[own] == {}
    (other,) = set(pulumi.stacks) - {own}
    assert not Path(other.removeprefix("file://")).exists()


def test_a_stack_that_stands_is_previewed_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi = Pulumi(tmp_path, monkeypatch)
    one = backend.Backend(pulumi.commands)
    one.select()
    pulumi.stacks[pulumi.url]["dev"] = 80
    with one.looked_at():
        assert one.stacks() == {"dev": 80}


@pytest.mark.parametrize(
    ("backend_url", "stacks", "may_stand"), [("", [], False), ("", ["old"], True), ("file:///elsewhere", [], True)]
)
def test_settings_of_a_stack_that_may_stand_are_not_refused_for_what_it_can_no_longer_change(
    monkeypatch: pytest.MonkeyPatch, backend_url: str, stacks: list[str], may_stand: bool
) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **rest: object) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setenv("PULUMI_BACKEND_URL", backend_url)
    monkeypatch.setattr(ready.subprocess, "run", run)
    monkeypatch.setattr(ready.state, "stacks", lambda: stacks)
    ready.settings("old", in_lab=False)
    assert ["--stands" in argv for argv in asked] == [may_stand]
