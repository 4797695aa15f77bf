"""A stack's file is read by the program's own tools as the real engine reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster import stack_file
from tests.cluster.go_yaml_table import PULUMI, TIMES
from tests.toolchain.conftest import Engine

pytestmark = pytest.mark.toolchain


def test_the_engine_hands_over_what_a_review_reads(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    path = engine.project / "Pulumi.test.yaml"
    plain = [*PULUMI, *TIMES]
    path.write_text(path.read_text() + "config:\n  okd-libvirt:x:\n" + "".join(f"    - {text}\n" for text in plain))
    text = engine.run("config", "--json")
    handed = json.loads(json.loads(text[text.index("{") : text.rindex("}") + 1])["okd-libvirt:x"]["value"])
    read = stack_file.stack_config(path)["x"]
    assert dict(zip(PULUMI, handed, strict=False)) == dict(zip(PULUMI, read, strict=False)) == PULUMI
    # A time is none of the settings' texts, however it is written.
    assert all(" " in one for one in (*handed[len(PULUMI) :], *read[len(PULUMI) :]))


@pytest.mark.parametrize(("key", "handed"), [("08", "8"), ("1e5", "100000"), ("~", "<nil>"), ("2001-01-01", None)])
def test_a_key_that_the_engine_changes_is_a_problem_of_the_settings(
    tmp_path: Path, key: str, handed: str | None
) -> None:
    engine = Engine(tmp_path)
    path = engine.project / "Pulumi.test.yaml"
    path.write_text(f"{path.read_text()}config:\n  okd-libvirt:pools:\n    {key}: {{}}\n")
    text = engine.run("config", "--json")
    (name,) = json.loads(json.loads(text[text.index("{") : text.rindex("}") + 1])["okd-libvirt:pools"]["value"])
    assert name != key
    assert handed in (None, name)
    (problem,) = stack_file.misread(path)
    assert problem.setting == "Pulumi.test.yaml"
    assert problem.fix == "put it in quotes"


@pytest.mark.parametrize("key", ["8", "true", "1.5", "y", "'08'", '"1e5"'])
def test_a_key_that_the_engine_leaves_alone_is_none(tmp_path: Path, key: str) -> None:
    engine = Engine(tmp_path)
    path = engine.project / "Pulumi.test.yaml"
    path.write_text(f"{path.read_text()}config:\n  okd-libvirt:pools:\n    {key}: {{}}\n")
    text = engine.run("config", "--json")
    handed = json.loads(json.loads(text[text.index("{") : text.rindex("}") + 1])["okd-libvirt:pools"]["value"])
    assert list(handed) == [key.strip("'\"")]
    assert stack_file.misread(path) == []
    assert stack_file.stack_config(path) == {"pools": handed}
