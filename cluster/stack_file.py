"""A stack's file, read without Pulumi and as Pulumi reads it.

Owns where it lies, its settings as Pulumi would hand them over, and the keys that Pulumi changes on the way. Does not
own what the settings mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from cluster import go_yaml
from cluster.project_files import PROJECT
from cluster.settings_problems import Problem

PREFIX = "okd-libvirt:"


def stack_file(stack: str) -> Path:
    """The stack's file, beside Pulumi.yaml or among the examples.

    Raises:
        FileNotFoundError: there is none.
    """
    for directory in (PROJECT, PROJECT / "examples"):
        path = directory / f"Pulumi.{stack}.yaml"
        if path.exists():
            return path
    raise FileNotFoundError(f"no stack {stack}: neither Pulumi.{stack}.yaml nor examples/Pulumi.{stack}.yaml exists")


def stack_config(path: Path) -> dict[str, Any]:
    """A stack file's settings, without the project's prefix, and without secrets: Pulumi alone can read those."""
    return {name: _parsed(value) for name, value in _readable(_sections(path)).items()}


def hidden_sections(path: Path) -> list[str]:
    """The sections of a stack file that are a secret as a whole."""
    return [name for name, value in _sections(path).items() if isinstance(value, dict) and set(value) == {"secure"}]


def _sections(path: Path) -> dict[str, Any]:
    documents = go_yaml.load_all(path.read_bytes(), go_yaml.Pulumi)
    if len(documents) > 1:
        raise yaml.YAMLError("more than one document, and Pulumi reads the first alone")
    document = (documents or [None])[0] or {}
    config = (document.get("config") or {}) if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise yaml.YAMLError(f"a mapping belongs under `config:`, with keys such as {PREFIX}cluster")
    # To Pulumi a key without a project is of this one.
    whole = {key if ":" in key else PREFIX + key: value for key, value in config.items()}
    return {key.removeprefix(PREFIX): value for key, value in whole.items() if key.startswith(PREFIX)}


def _parsed(value: Any) -> Any:
    """A section as `pulumi config set KEY JSON` writes it is text."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        secret = [key for key, inner in value.items() if isinstance(inner, dict) and set(inner) == {"secure"}]
        return {key: _readable(inner) for key, inner in value.items() if key not in secret}
    return [_readable(inner) for inner in value] if isinstance(value, list) else value


def misread(path: Path) -> list[Problem]:
    """What of a stack's file Pulumi hands over as something else than is written, without a word.

    Empty where there is no such file: the settings come from somewhere else then.
    """
    try:
        _sections(path)
    except OSError:
        return []
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or error)
        harm, _, fix = problem.partition(": ")
        place = f"line {mark.line + 1}: " if mark else ""
        return [Problem(path.name, "", f"{place}{harm}", fix or "correct it")]
    return []
