"""What a first run is told of the time that the rest will take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import outlook, pace
from lab.outlook import MILESTONES, Outlook

DOMAIN = " +  libvirt:index:Domain services-domain created (1.00s) "
COLOURED = "\x1b[32m+\x1b[0m command:remote:Command \x1b[1mmirror-release\x1b[0m created (33s)"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache without programs, and a run in which nothing was built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pace, "_seen", {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(outlook.time, "monotonic", lambda: now[0])
    return now


def test_the_first_compile_tells_how_long_the_others_will_take() -> None:
    told = pace.took("pulumi", 700)
    assert told.startswith("this machine took 2.0 times as long as usual")
    assert "openshift-install" in told
    assert "about 42 min" in told
    assert pace.expected("oc") == 500
    assert pace.took("oc", 500) == "", "it is said once"


def test_what_the_cache_holds_is_not_counted(tmp_path: Path) -> None:
    for name in pace.USUAL:
        (tmp_path / "okd-libvirt" / "toolchain" / name).mkdir(parents=True)
        (tmp_path / "okd-libvirt" / "toolchain" / name / name).touch()
    assert pace.took("pulumi", 700) == ""


def test_a_short_step_tells_nothing_of_the_machine() -> None:
    assert pace.took("pulumi-resource-tls", 90) == ""
    assert pace.factor() is None
    assert pace.expected("pulumi") == 350
    assert pace.expected("no such program") is None


def test_the_first_answer_of_the_services_host_tells_how_long_a_first_update_takes(clock: list[float]) -> None:
    told: list[str] = []
    answered: list[Callable[[], None]] = []
    run = Outlook(answered.append, told.append)
    run.heard("updating")
    assert not answered
    run.heard(DOMAIN)
    clock[0] += 80
    answered[0]()
    assert run.first_ssh == 80
    rest = 2 * (MILESTONES[-1].usual - 40)
    assert told == [
        f"the services host answers: 80 s after its machine was made (2.0 times the usual 40 s); {outlook.FIRST_SSH.then},"
        f" about {pace.words(rest)} to the end"
    ]


def test_each_milestone_says_once_what_is_gone_and_what_is_left(clock: list[float]) -> None:
    told: list[str] = []
    run = Outlook(lambda answered: None, told.append)
    run.heard(DOMAIN)
    clock[0] += 200
    run.heard(COLOURED)
    run.heard(COLOURED)
    run.heard(" +  command:remote:Command smoke-check-run created (4s)")
    assert len(told) == 1, "what came late is not told after what follows it"
    assert told[0].startswith("the release is mirrored: 200 s after its machine was made")
    clock[0] += 300
    run.heard(" +  command:remote:Command installation-complete created (4s)")
    assert told[1].startswith("every node is Ready: 500 s")
    assert "to the end" not in told[1]


def test_an_update_of_a_stack_that_stands_is_told_nothing() -> None:
    told: list[str] = []
    run = Outlook(lambda answered: None, told.append)
    run.heard(" ~  command:remote:Command smoke-check-run updated (4s)")
    run.heard(" +  command:remote:Command mirror-release created (33s)")
    assert told == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "10 s"), (44, "40 s"), (89, "90 s"), (200, "3 min"), (1500, "25 min")]
)
def test_a_time_to_come_is_no_more_exact_than_it_is_known(seconds: float, words: str) -> None:
    assert pace.words(seconds) == words
