"""A cluster that stands under a domain that is refused today is not stopped by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from tests.components.conftest import Recording, Run
from tests.components.test_installation import outputs

Runner = Callable[..., Run]


def moved(config: dict[str, Any]) -> None:
    config["cluster"]["baseDomain"] = "lab.local"
    config["install"] = {"proxy": {"http": "http://10.20.0.8:3128"}}


def test_a_new_stack_is_refused_before_anything_is_declared_and_a_cluster_that_stands_is_warned_of(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording()
    with pytest.raises(pulumi.RunError) as error:
        run("dev", moved, recording=recording)
    assert "RFC 6762" in str(error.value)
    assert "forwards nothing" in str(error.value)
    assert not recording.resources
    told = outputs(run("dev"))
    told["apiUrl"] = told["apiUrl"].replace("lab.example", "lab.local")
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    assert run("dev", moved, before=told).recording.resources
    for words in ("RFC 6762", "forwards nothing"):
        assert [words in warning for warning in warnings].count(True) == 1
