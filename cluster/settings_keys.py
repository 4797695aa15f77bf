"""Which settings exist where, and which one an unknown key may have meant.

Owns walking the models' fields. Does not own the models.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from cluster.settings_problems import Problem

Path = Sequence[str | int]
ANY_NAME = "<name>"  # what stands for the name of a pool or machine


def meant(path: Path, model: type[BaseModel]) -> str:
    """What to do about an unknown key: the nearest known one, or where it belongs, or what is known beside it."""
    *parents, last = path
    known = [alias for alias, _ in fields(_at(parents, model))]
    key = str(last)
    section, dot, inner = key.partition(".")
    if dot and section in known:
        return f"write it inside of {section}: {section}: {{{inner}: …}}"
    elsewhere = [place for place in walk(model) if place[-1] == key]
    if near := difflib.get_close_matches(key, known, 1, 0.7):
        return f"did you mean {near[0]}?"
    if elsewhere:
        best = max(elsewhere, key=lambda place: (_shared(place, parents), len(place) == len(path), -len(place)))
        return f"did you mean {'.'.join(best)}?"
    if near := difflib.get_close_matches(key, known, 1, 0.5):
        return f"did you mean {near[0]}?"
    return f"remove it; known here: {', '.join(sorted(known))}"


def strayed(keys: Iterable[str], project: str) -> list[Problem]:
    """Keys of the stack's file, whole, whose prefix is nearly the project's: Pulumi would pass them over."""
    found = []
    for key in keys:
        prefix, _, name = key.partition(":")
        if prefix != project and difflib.get_close_matches(prefix, [project], 1, 0.7):
            harm = f"settings of a project {prefix}, which is not this one: they would be ignored"
            found.append(Problem(key, "", harm, f"did you mean {project}:{name}?"))
    return found


def walk(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting, sections included."""
    for alias, kind in fields(model):
        yield (*above, alias)
        inner, names = section(kind)
        if inner is not None:
            yield from walk(inner, (*above, alias, *((ANY_NAME,) if names else ())))


def fields(kind: Any) -> Iterator[tuple[str, Any]]:
    """Key and type of each setting of a section; none for anything else."""
    if is_section(kind):
        for field in kind.model_fields.values():
            yield str(field.alias), field.annotation


def section(kind: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section that a type is or holds, and whether it holds several by name."""
    if is_section(kind):
        return kind, False
    names = get_origin(kind) is dict
    return next((one for one in get_args(kind) if is_section(one)), None), names


def is_section(kind: Any) -> bool:
    """Whether a type is a section of settings."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _at(path: Path, model: type[BaseModel]) -> Any:
    kind: Any = model
    for part in path:
        inner, names = section(kind)
        kind = inner if names or isinstance(part, int) else dict(fields(inner)).get(str(part))
    return section(kind)[0] if get_origin(kind) is not dict else None


def _shared(place: Sequence[str], parents: Path) -> int:
    """How many first parts two paths share, the names of pools and machines aside."""
    count = 0
    for one, other in zip(place, parents, strict=False):
        if one not in (other, ANY_NAME):
            break
        count += 1
    return count
