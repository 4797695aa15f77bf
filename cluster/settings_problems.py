"""One report of everything that is wrong with a stack's settings.

Owns the form of the report and the translation of pydantic's errors into it. Does not own the rules themselves.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, with which value, what it would do, and how to put it right."""

    setting: str
    value: str
    harm: str
    fix: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        return f"{self.setting}{shown}\n    harm: {self.harm}\n    fix:  {self.fix}"


class SettingsError(ValueError):
    """The settings cannot be used; `problems` holds every reason and str() is the whole report."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda problem: (problem.setting, problem.harm)))
        count = len(self.problems)
        head = f"{count} problem{'s' if count > 1 else ''} in the stack's settings; nothing was created or changed"
        super().__init__("\n".join([head, *(f"- {problem}" for problem in self.problems)]))


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written: machines.compute-1.address, uplink.resolvers[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


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
            if not any(_within(path, earlier.setting) for earlier in problems):
                problems.append(_translated(detail, path, model))
        for path, detail in details:
            _repair(rest, path, missing=detail["type"] == "missing")
    return problems, None


# Stand-ins for required settings that are missing or refused, so that the relations of all others are still checked.
STAND_INS: dict[str, Any] = {
    "baseDomain": "example.invalid",
    "location": "http://example.invalid/file",
    "cluster": {"baseDomain": "example.invalid"},
    "image": {"location": "/example.invalid"},
    "services": {"image": {"location": "/example.invalid"}},
}
# What may be a secret, by the setting's name or by the value's looks.
HIDDEN = re.compile(r"secret|password|token|auths?\W{0,3}:|private key|://[^/\s]*@", re.IGNORECASE)


def _repair(rest: Any, path: Path, *, missing: bool) -> None:
    *parents, last = path
    for part in parents:
        if isinstance(rest, list) or part not in rest:
            break  # an earlier repair took this part away
        rest = rest[part]
    if isinstance(rest, list):
        rest.clear()
    elif last in STAND_INS:
        rest[last] = copy.deepcopy(STAND_INS[str(last)])
    elif not missing:
        rest.pop(last, None)


def _written(loc: Path, rest: Any) -> Path:
    """The error's location as far as it exists in the settings: pydantic adds parts of its own for unions."""
    path: list[str | int] = []
    for part in loc:
        here = isinstance(rest, Mapping) and part in rest
        if not here and not (isinstance(rest, list) and isinstance(part, int) and part < len(rest)):
            absent = isinstance(rest, Mapping) and part == loc[-1]  # a missing key is named where it belongs
            return (*path, part) if absent else tuple(path)
        rest = rest[part]
        path.append(part)
    return tuple(path)


def _within(path: Path, setting: str) -> bool:
    text = dotted(path)
    return text == setting or text.startswith((f"{setting}.", f"{setting}["))


def _translated(detail: ErrorDetails, path: Path, model: type[BaseModel]) -> Problem:
    setting = dotted(path)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return Problem(setting, "", "it has no default, so nothing can be planned without it", f"add {setting}")
    value = shown(detail["input"], setting)
    if kind == "refused":
        return Problem(setting, value, context["harm"], context["fix"])
    if kind == "extra_forbidden":
        known = _siblings(path, model)
        near = difflib.get_close_matches(str(path[-1]), known, 1, 0.5)
        fix = f"did you mean {near[0]}?" if near else f"remove it; known here: {', '.join(sorted(known))}"
        return Problem(setting, value, "no such setting: it would be ignored", fix)
    if kind == "literal_error":
        return Problem(setting, value, "not one of the values it can have", f"choose {context['expected']}")
    if kind.startswith("int_"):
        return Problem(setting, value, "a size or count is a whole number", "write digits only; the unit is in the key")
    if kind in ("greater_than_equal", "less_than_equal"):
        limit = context.get("ge", context.get("le"))
        word = "at least" if "ge" in context else "at most"
        return Problem(setting, value, "outside of what works", f"give {word} {limit}")
    if kind.startswith("bool_"):
        return Problem(setting, value, "neither true nor false", "write true or false")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return Problem(setting, value, "a mapping of settings belongs here", f"write {setting}: {{key: value, …}}")
    if kind in ("tuple_type", "list_type"):
        return Problem(setting, value, "a list belongs here", f"write {setting.rpartition('.')[2]}: [value, …]")
    if kind == "string_pattern_mismatch":
        return Problem(setting, value, "libvirt would not understand it", "write a libvirt URI such as qemu:///system")
    return Problem(setting, value, detail["msg"], "correct it; Pulumi.yaml describes each setting")


def shown(value: Any, setting: str) -> str:
    """A value as the report shows it: cut where it gets long, and not at all where it may be a secret."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if HIDDEN.search(setting) or HIDDEN.search(text):
        return "(not shown)"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _siblings(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys known where `path` stands."""
    kind: Any = model
    for part in path[:-1]:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif _is_model(kind):
            kind = next((one.annotation for one in kind.model_fields.values() if one.alias == part), None)
            kind = next((one for one in get_args(kind) if _is_model(one) and get_origin(kind) is not dict), kind)
    return [str(one.alias) for one in kind.model_fields.values()] if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
