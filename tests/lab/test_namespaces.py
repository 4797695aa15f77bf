"""Which process of the lab leads into its namespaces."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from lab import checkout, mountpoints, namespaces
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The ids of two processes, which are the lab's only ones, in the order in which they were started."""
    with subprocess.Popen(["sleep", "infinity"]) as first, subprocess.Popen(["sleep", "infinity"]) as second:
        pids = [first.pid, second.pid]
        monkeypatch.setattr(mountpoints, "owner", lambda pid: checkout.lab_id() if pid in pids else "")
        # A process has no words for a moment after its exec, as one has that ends.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while [process.name for process in namespaces.processes()] != ["sleep", "sleep"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield pids
        first.kill()
        second.kill()


def test_the_first_process_leads_into_the_lab(two: list[int]) -> None:
    assert f"--target={two[0]}" in namespaces.join(["true"])


def test_pids_that_began_anew_do_not_make_a_later_process_the_first(
    two: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lower, higher = sorted(two)
    monkeypatch.setattr(namespaces, "_started", {lower: 200, higher: 100}.__getitem__)
    assert f"--target={higher}" in namespaces.join(["true"])
