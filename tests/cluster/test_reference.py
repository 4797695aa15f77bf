"""The reference page and the JSON Schema are made from the models, are fresh, and tell what the program tells."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from pydantic import BaseModel

from cluster import reference, settings_schema
from cluster.plan import Plan
from cluster.settings import Settings
from cluster.settings_form import examine
from cluster.settings_keys import section
from tests.cluster.mistakes import CATALOGUE, Edit
from tests.conftest import ROOT, STACK_FILES, stack_config

SCHEMA = settings_schema.document()
VALIDATOR = Draft7Validator(SCHEMA)
MINIMAL = ROOT / "examples" / "Pulumi.minimal.yaml"
FILES = [*STACK_FILES.values(), MINIMAL]


def faults(config: dict[str, Any]) -> list[str]:
    """What the schema has against settings; a value left empty is none at all."""
    given = without_nothing({f"okd-libvirt:{key}": value for key, value in config.items()})
    return [error.message for error in VALIDATOR.iter_errors({"config": given})]


def without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nothing(inner) for key, inner in value.items() if inner is not None}
    return value


def sections(model: type[BaseModel] = Settings) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        inner, _ = section(field.annotation)
        if inner is not None:
            yield from sections(inner)


def test_both_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "PROJECT", tmp_path)
    monkeypatch.setattr(reference, "PAGE", tmp_path / "settings.md")
    monkeypatch.setattr(reference, "SCHEMA", tmp_path / "settings.schema.json")
    assert reference.main([]) == 0
    (tmp_path / "settings.md").write_text("old\n")
    assert reference.main(["--check"]) == 1
    assert capsys.readouterr().err == "settings.md is stale: run `make reference`\n"


@pytest.mark.parametrize("model", sorted(set(sections()), key=lambda one: one.__name__), ids=lambda one: one.__name__)
def test_every_setting_is_described(model: type[BaseModel]) -> None:
    words = settings_schema.described(model)
    assert set(words) == set(model.model_fields)
    for name, (meaning, default, _) in words.items():
        assert meaning.endswith("."), name
        assert not default.endswith("."), name
        unit = {"mib": "MiB", "gib": "GiB", "minutes": "Minutes"}.get(name.rpartition("_")[2])
        assert unit is None or unit in meaning, f"{name}: its unit is not said"


def test_every_setting_is_on_the_page() -> None:
    page = reference.page()
    for model in set(sections()) - {Settings}:
        for field in model.model_fields.values():
            assert f"{field.alias}` |" in page, f"{model.__name__}.{field.alias}"
    assert page.isascii() or "…" in page


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert json.loads(reference.schema()) == SCHEMA


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_stack_file_is_valid_and_names_its_schema(path: Path) -> None:
    text = path.read_text()
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []
    comment, _, schema = text.splitlines()[0].partition("$schema=")
    assert comment == "# yaml-language-server: "
    assert (path.parent / schema).resolve() == reference.SCHEMA


def test_what_pulumi_keeps_in_the_file_is_allowed() -> None:
    document = yaml.safe_load(MINIMAL.read_text())
    document |= {"encryptionsalt": "v1:x", "secretsprovider": "passphrase", "environment": ["shared"]}
    document["config"] |= {"aws:region": "eu-central-1", "other:anything": {"at": "all"}}
    document["config"]["okd-libvirt:release"] = {"pullSecret": {"secure": "v1:abc"}}
    assert VALIDATOR.is_valid(document)
    document["config"]["okd-libvirt:release"] = {"pullSecret": {"secured": "v1:abc"}}
    assert not VALIDATOR.is_valid(document)


def test_a_key_without_the_projects_prefix_is_refused() -> None:
    document = yaml.safe_load(MINIMAL.read_text())
    document["config"]["network"] = {}
    assert not VALIDATOR.is_valid(document)


# Faults of form that no pattern can tell.
BEYOND_A_SCHEMA = {
    "network with host bits",
    "mtu too small",
    "pull secret no JSON",
    "pull secret empty",
    "pull secret without base64",
    "pull secret without colon",
    "ssh key is none",
    "ssh key of another kind",
    "ssh key cut short",
    "ssh key of DSA",
    "ssh key of 1024 bits",
    "image at no port",
    "boot file at no port",
}


def of_form(edit: Edit) -> dict[str, Any] | None:
    """The settings after an edit, if it makes them malformed."""
    config = copy.deepcopy(stack_config("hard-way"))
    edit(config)
    problems, _ = examine(Settings, {key: value for key, value in config.items() if value is not None})
    return config if problems else None


MALFORMED = {name: config for name, (edit, *_) in CATALOGUE.items() if (config := of_form(edit)) is not None}


@pytest.mark.parametrize("name", [name for name in MALFORMED if name not in BEYOND_A_SCHEMA])
def test_a_mistake_of_form_is_refused_by_the_schema_too(name: str) -> None:
    assert faults(MALFORMED[name])


def test_what_a_schema_cannot_tell_is_known() -> None:
    assert len(MALFORMED) > 100
    accepted = {name for name, config in MALFORMED.items() if not faults(config)}
    assert accepted <= BEYOND_A_SCHEMA


@pytest.mark.parametrize("stack", sorted(STACK_FILES))
def test_what_the_program_takes_the_schema_takes(stack: str) -> None:
    assert faults(stack_config(stack)) == []


def test_the_seeds_topology_fits_into_25_lines() -> None:
    text = MINIMAL.read_text()
    assert len(text.splitlines()) < 25
    config = {key.removeprefix("okd-libvirt:"): value for key, value in yaml.safe_load(text)["config"].items()}
    settings = Settings.parse(config, "minimal")
    assert settings.warnings == ()
    assert [machine.role for machine in Plan.of(settings).machines] == [
        "bootstrap",
        *["control-plane"] * 3,
        *["compute"] * 3,
    ]
