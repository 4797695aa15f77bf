"""Reading a stack's settings: every error of form as a problem, and what is left without the refused values.

Owns the translation of pydantic's errors into the report, with the nearest key or value that may have been meant. Does
not own the forms of single values (values.py) nor relations between them (settings_checks.py).
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cluster import settings_keys
from cluster.settings_problems import Problem, dotted, shown, within

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]


def merged(defaults: Mapping[str, Any], given: Any) -> Any:
    """`given` over `defaults`, key by key, where both are mappings; else `given`."""
    if not isinstance(given, Mapping):
        return given
    both = {key: copy.deepcopy(value) for key, value in defaults.items()}
    for key, value in given.items():
        both[key] = merged(both[key], value) if isinstance(both.get(key), Mapping) else value
    return both


def examine(model: type[Model], given: Mapping[str, Any]) -> tuple[list[Problem], Model | None]:
    """All errors of form, and the model as it would be without the refused values (None when too little is left).

    The rest of the settings is then still checked for relations, so that one report tells everything.
    """
    problems: list[Problem] = []
    rest: dict[str, Any] = copy.deepcopy(dict(given))
    for _ in range(8):
        try:
            return problems, model.model_validate(rest)
        except ValidationError as error:
            details = [(_written(detail["loc"], rest), detail) for detail in error.errors()]
        for path, detail in details:
            if not any(within(dotted(path), earlier.setting) for earlier in problems):
                problems.append(_translated(detail, path, model))
        for path, detail in details:
            _repair(rest, path, missing=detail["type"] == "missing")
    return problems, None


# Stand-ins for required settings that are missing or refused, so that the relations of all others are still checked.
STAND_INS: dict[str, Any] = {
    "cluster.baseDomain": "example.invalid",
    "cluster": {"baseDomain": "example.invalid"},
    "services.image": {"location": "/example.invalid"},
    "services": {"image": {"location": "/example.invalid"}},
}


def _repair(rest: Any, path: Path, *, missing: bool) -> None:
    *parents, last = path
    for part in parents:
        if isinstance(rest, list) or part not in rest:
            break  # an earlier repair took this part away
        rest = rest[part]
    if isinstance(rest, list):
        rest.clear()
    elif last == "location":
        rest[last] = "http://example.invalid/file"
    elif dotted(path) in STAND_INS:
        rest[last] = copy.deepcopy(STAND_INS[dotted(path)])
    elif not missing:
        rest.pop(last, None)


def _written(loc: Path, rest: Any) -> Path:
    """The error's location as far as it exists in the settings: pydantic adds parts of its own for unions."""
    path: list[str | int] = []
    for part in loc:
        if part == "[key]":
            break  # pydantic's word for the name before it
        here = isinstance(rest, Mapping) and part in rest
        if not here and not (isinstance(rest, list) and isinstance(part, int) and part < len(rest)):
            absent = isinstance(rest, Mapping) and part == loc[-1]  # a missing key is named where it belongs
            return (*path, part) if absent else tuple(path)
        rest = rest[part]
        path.append(part)
    return tuple(path)


def _translated(detail: ErrorDetails, path: Path, model: type[BaseModel]) -> Problem:
    setting, given = dotted(path), detail["input"]
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return Problem(setting, "", "it has no default, so nothing can be planned without it", f"add {setting}")
    value = shown(given, setting)
    if kind == "refused":
        return Problem(setting, value, context["harm"], context["fix"])
    if kind == "extra_forbidden":
        return Problem(setting, value, "no such setting: it would be ignored", settings_keys.meant(path, model))
    if kind == "literal_error":
        return Problem(setting, value, "not one of the values it can have", _choice(given, context["expected"]))
    if kind.startswith("int_"):
        return Problem(setting, value, "a size or count is a whole number", _number(given, setting))
    if kind in ("greater_than_equal", "less_than_equal"):
        return Problem(setting, value, "outside of what works", _limit(given, setting, context))
    if kind.startswith("bool_"):
        word = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(given).lower(), str(given).lower())
        fix = f"write {word} without quotes" if word in ("true", "false") else "write true or false"
        return Problem(setting, value, "neither true nor false", fix)
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return Problem(setting, value, "a mapping of settings belongs here", f"write {setting}: {{key: value, …}}")
    if kind in ("tuple_type", "list_type"):
        return Problem(setting, value, "a list belongs here", f"write {setting.rpartition('.')[2]}: [value, …]")
    if kind == "string_type":
        return Problem(setting, value, "text belongs here, and YAML reads this as something else", "put it in quotes")
    return Problem(setting, value, detail["msg"], "correct it; docs/settings.md describes each setting")


def _number(given: Any, setting: str) -> str:
    """How to write a number that was given as text, with a unit, or with a fraction."""
    text = str(given).strip()
    if isinstance(given, str) and text.isdecimal():
        return f"write {int(text)} without quotes"
    fix = "write digits only; the unit is in the key"
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mgt])i?b?", text, re.IGNORECASE)
    if found is None or not setting.endswith(("MiB", "GiB")):
        return fix
    steps = "mgt".index(found[2].lower()) - "mg".index(setting[-3].lower())
    return f"{fix}: {round(float(found[1]) * 1024**steps)}"


def _limit(given: Any, setting: str, context: Mapping[str, Any]) -> str:
    if "le" in context:
        return f"give at most {context['le']}"
    gibibytes = f"; {given} GiB are {given * 1024}" if setting.endswith("MiB") and given > 0 else ""
    return f"give at least {context['ge']}{gibibytes}"


def _choice(given: Any, expected: str) -> str:
    options = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(given).lower(), options, 1, 0.6)
    if isinstance(given, str) and given in re.findall(r"\b\d+\b", expected):
        return f"choose {expected}; write {given} without quotes"
    return f"choose {expected}" + (f"; did you mean {near[0]}?" if near else "")
