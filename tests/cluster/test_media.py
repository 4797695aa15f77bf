"""The document by which a release is saved to removable media."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster import media
from cluster.plan import Plan
from cluster.settings import Settings
from tests.conftest import UPSTREAM_CA, stack_config


def test_the_media_hold_what_the_mirror_would_copy(tmp_path: Path) -> None:
    plan = Plan.of(Settings.parse(stack_config("dev"), "dev"))
    found, mirrored = media.document(plan, tmp_path), plan.mirror({"pull-secret": "0" * 64})
    for key in ("release", "sources", "trust", "attempts"):
        assert found[key] == mirrored[key], key
    assert found["trust"] == [UPSTREAM_CA.read_text()]
    assert found["directory"] == str(tmp_path)
    assert found["pullSecretFile"] is None


def test_a_pull_secret_is_named_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "auth.json"
    secret.write_text("a secret")
    words = ["--stack", "hard-way", "--directory", str(tmp_path), "--pull-secret", str(secret)]
    assert media.main(words) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["pullSecretFile"] == str(secret)
    assert "a secret" not in printed


def test_an_unknown_stack_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert media.main(["--stack", "none", "--directory", str(tmp_path)]) == 1
    assert "no stack none" in capsys.readouterr().err
