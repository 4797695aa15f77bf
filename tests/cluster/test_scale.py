"""Hundreds of machines are planned, and each costs as much as the one before it."""

from __future__ import annotations

import cProfile
import pstats

from benchmarks.planning import planned, settings


def calls(machines: int) -> int:
    """How many functions are called to plan and render a stack: the same number on every machine, busy or not."""
    config = settings(machines)
    profile = cProfile.Profile()
    profile.runcall(planned, config)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_five_hundred_machines_are_planned_and_rendered() -> None:
    plan, files = planned(settings(500))
    assert len(plan.machines) == 500
    assert sum("storage-100" in text for text in files.values()) > 3


def test_twice_as_many_machines_are_twice_the_work() -> None:
    calls(14)  # compiles the templates
    assert calls(800) < 2.1 * calls(400)
