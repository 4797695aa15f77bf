"""Stopping and starting a whole stack: the order, and what happens when a part does not play along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import limits
from lab import facts, power
from lab.facts import Facts
from lab.progress import StepFailed
from tests.lab.standins import SECRET, World


@pytest.fixture(scope="session")
def dev() -> Facts:
    return facts.of("dev")


@pytest.fixture
def world(tmp_path: Path, dev: Facts, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(power, "PAUSE_SECONDS", 0.05)
    return World(tmp_path, dev)


def order(world: World) -> list[str]:
    """What was done to the stack, in order; looking is left out."""
    done = [call.split()[3:] for call in world.calls("virsh")]
    told = iter([words for words in done if words[0] != "list"])
    found = []
    for call in world.calls():
        if call.startswith("ssh"):
            found.append(f"ssh {call.split()[-1]}")
        elif call.startswith("virsh") and " list " not in call:
            found.append(" ".join(next(told)))
    return found


def test_the_cluster_is_shut_down_before_the_services_host(world: World) -> None:
    world.domains("running")
    assert power.stop(world.commands, world.facts, force=False) == 0
    assert order(world) == ["ssh cluster-stop", "ssh poweroff"]
    assert set(world.read()["domains"].values()) == {"shut off"}
    assert world.read()["stopped"] == {**world.facts.power, "force": False}
    assert SECRET not in "".join(world.calls())


def test_a_cluster_that_is_not_well_is_left_running_unless_forced(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.domains("running")
    world.save(unwell=True)
    assert power.stop(world.commands, world.facts, force=False) == 1
    assert set(world.read()["domains"].values()) == {"running"}
    assert "make stop FORCE=1" in capsys.readouterr().out
    assert power.stop(world.commands, world.facts, force=True) == 0
    assert set(world.read()["domains"].values()) == {"shut off"}


@pytest.mark.parametrize("deaf", [False, True])
def test_a_bootstrap_that_still_runs_is_shut_down_at_libvirt(
    world: World, deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.domains("running", bootstrap="running")
    world.save(deaf=deaf)
    if deaf:
        monkeypatch.setattr(limits, "POWER_OFF", limits.POWER_OFF._replace(seconds=0.2))
    assert power.stop(world.commands, world.facts, force=False) == 0
    own = ["shutdown okd-dev-bootstrap", *(["destroy okd-dev-bootstrap"] if deaf else [])]
    assert order(world) == ["ssh cluster-stop", *own, "ssh poweroff"]


def test_a_stack_that_is_off_already_is_left_alone(world: World) -> None:
    world.domains("shut off")
    assert power.stop(world.commands, world.facts, force=False) == 0
    assert order(world) == []


def test_machines_without_their_services_host_are_not_cut_off(world: World) -> None:
    world.domains("running", services="shut off")
    with pytest.raises(StepFailed, match="cannot be shut down in order") as failed:
        power.stop(world.commands, world.facts, force=False)
    assert failed.value.remedy == "make start, then make stop"
    assert order(world) == []


@pytest.mark.parametrize("verb", [lambda *stack: power.stop(*stack, force=False), power.start], ids=["stop", "start"])
def test_a_stack_that_was_never_up_is_named_as_such(world: World, verb: Callable[..., int]) -> None:
    with pytest.raises(StepFailed, match="no services host") as failed:
        verb(world.commands, world.facts)
    assert "make up" in failed.value.remedy


def test_a_libvirt_that_does_not_answer_is_named(world: World) -> None:
    world.save(libvirt="silent")
    with pytest.raises(StepFailed, match="failed to connect") as failed:
        power.start(world.commands, world.facts)
    assert "make hypervisor" in failed.value.remedy


def test_the_services_host_is_started_and_awaited_before_the_machines(world: World) -> None:
    world.domains("shut off", bootstrap="shut off")
    assert power.start(world.commands, world.facts) == 0
    nodes = [domain for name, domain in world.facts.domains.items() if name != "bootstrap"]
    assert order(world) == [
        "start okd-dev-services",
        "ssh true",
        *(f"start {domain}" for domain in nodes),
        "ssh cluster-start",
    ]
    assert world.read()["domains"]["okd-dev-bootstrap"] == "shut off"
    assert world.read()["started"] == world.facts.power


def test_what_runs_already_is_not_started_again(world: World) -> None:
    world.domains("running")
    assert power.start(world.commands, world.facts) == 0
    assert order(world) == ["ssh true", "ssh cluster-start"]


def test_a_services_host_that_does_not_come_back_is_named_and_no_machine_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SERVICES_ANSWER", limits.SERVICES_ANSWER._replace(seconds=0.2))
    world.domains("shut off")
    world.save(unreachable=True)
    with pytest.raises(StepFailed, match=r"does not answer at 192\.168\.125\.10") as failed:
        power.start(world.commands, world.facts)
    assert "No route to host" in "\n".join(failed.value.last_lines)
    assert "make start" in failed.value.remedy
    assert [step for step in order(world) if step != "ssh true"] == ["start okd-dev-services"]
