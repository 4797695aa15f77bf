"""Pulumi.yaml tells of every setting that the program reads."""

from __future__ import annotations

import yaml

from cluster.settings import Settings
from tests.conftest import ROOT, STACK_FILES

PROJECT = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
SECTIONS = {str(field.alias): field for field in Settings.model_fields.values()}


def test_every_section_is_declared_with_type_and_description() -> None:
    assert set(PROJECT["config"]) == set(SECTIONS)
    for key, declared in PROJECT["config"].items():
        assert declared["type"] == "object", key
        assert len(declared["description"]) > 20, key


def test_a_section_without_required_settings_may_be_left_out() -> None:
    optional = {key for key, field in SECTIONS.items() if not field.is_required()} - {"machines"}
    assert {key for key, declared in PROJECT["config"].items() if declared.get("default") == {}} == optional


def test_each_description_names_its_keys() -> None:
    for key, declared in PROJECT["config"].items():
        kind = SECTIONS[key].annotation
        if kind is None or not hasattr(kind, "model_fields"):
            continue
        for field in kind.model_fields.values():
            assert str(field.alias) in declared["description"], f"{key}.{field.alias}"


def test_stack_files_hold_this_projects_settings_only() -> None:
    for path in STACK_FILES.values():
        keys = yaml.safe_load(path.read_text())["config"]
        assert all(key.startswith(f"{PROJECT['name']}:") for key in keys)
