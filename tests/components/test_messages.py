"""What the program says to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pulumi
import pytest

from tests.components.conftest import Run


def test_the_sdks_debug_messages_are_no_calls_of_the_engine_and_others_are(
    run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        run("dev")
        pulumi.log.info("said")
    told = [record for record in caplog.records if record.name == "root"]
    assert "said" in [record.message for record in told]
    assert [record.message for record in told if record.levelno == logging.DEBUG] == []
