"""YAML as the programs written in Go read it: Pulumi the stack's file, oc and Kubernetes every manifest.

Owns two readers, which take a plain `08`, `1e5`, `y` or `1:30` for what those programs take it for and refuse keys that
come out as others than were written; and the one writer, whose text every reader takes for the same. Does not own what
is read. The rules are those of go-yaml 2 (through JSON, as Kubernetes has it) and 3; tests/cluster/go_yaml_table.py
holds what these answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
BOOL, NULL, NUMBER, TIME, MERGE = (f"{_TAG}{kind}" for kind in ("bool", "null", "int", "timestamp", "merge"))
TRUE = "true|True|TRUE|y|Y|yes|Yes|YES|on|On|ON"
FALSE = "false|False|FALSE|n|N|no|No|NO|off|Off|OFF"
BOOLS = re.compile(f"(?:{TRUE}|{FALSE})$")
BOOLS_OF_3 = re.compile("(?:true|True|TRUE|false|False|FALSE)$")
NULLS = re.compile("(?:~|null|Null|NULL|)$")
# May be a number; underscores count for nothing.
NUMBERS = re.compile(r"(?:[-+0-9][-+0-9a-fA-FxXoO_.]*|\.[0-9][0-9_eE+-]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$")
TIMES = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ ]+)[0-9:.]+(?:Z|[-+][0-9:]+)?)?$")
INTEGER = re.compile("([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# Either of them with underscores anywhere, or no number that JSON has.
ANY_NUMBER = re.compile(
    r"(?:[-+]?_*(?:0_*[xX][0-9a-fA-F_]+|0_*[bB][01_]+|0_*[oO][0-7_]+"
    r"|(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?)"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
# What JSON writes without an exponent comes out of it as a whole number.
WHOLE = 1e21
NEWER = re.compile(r"^%YAML[ \t]+1\.(?!1\b)", re.MULTILINE)


class _Reader(yaml.CSafeLoader):
    """What both readers share. libyaml's scanner is the one that go-yaml was made from, tabs and all."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's name for it

    def refuse(self, problem: str, node: yaml.Node) -> yaml.YAMLError:
        return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class Kubernetes(_Reader):
    """As oc, cluster-bootstrap and the API's clients read a manifest, in the end as JSON."""


class Pulumi(_Reader):
    """As Pulumi reads a stack's file, and hands it to the program as JSON."""


def load_all(text: str | bytes, reader: type[_Reader]) -> list[Any]:
    """The documents of a YAML text; None for an empty one.

    Raises:
        yaml.YAMLError: it cannot be read, or would come out as another one than is written.
    """
    plain = text if isinstance(text, str) else text.decode("utf-8-sig", errors="replace")
    if newer := NEWER.search(plain):
        mark = yaml.Mark("", newer.start(), plain.count("\n", 0, newer.start()), 0, None, 0)
        raise yaml.constructor.ConstructorError(None, None, "a version of YAML that Go's programs refuse", mark)
    return list(yaml.load_all(text, reader))


def dump(document: Any) -> str:
    """A document as YAML that every reader takes for the same: what any of them would not take for text is quoted."""
    return yaml.dump(document, Dumper=_Writer, sort_keys=False)


class _Writer(yaml.SafeDumper):
    pass


def _number(text: str, largest: int) -> int | float | str:
    """A plain text as go-yaml and JSON make a number of it; the text itself where they make none.

    What is beyond `largest`, the last that stays whole, is rounded to what a float has room for.
    """
    # After a dot they stand between digits, else anywhere.
    plain = re.sub("(?<=[0-9])_(?=[0-9])" if text.startswith(".") else "_", "", text)
    whole = INTEGER.fullmatch(plain)
    if whole:
        digits, base = next((part, base) for part, base in zip(whole.groups()[1:], (16, 2, 8, 10), strict=True) if part)
        value = int(f"{whole[1]}{digits}", base)
        if -(2**63) <= value <= largest:
            return value
        if value < 2**64:
            plain = str(value)
    if not FLOAT.fullmatch(plain):
        return text
    real = float(plain)
    if abs(real) == float("inf"):
        return text
    return int(Decimal(repr(real))) if real.is_integer() and abs(real) < WHOLE else real


def _construct_number(reader: _Reader, node: yaml.ScalarNode) -> Any:
    text = str(reader.construct_scalar(node))
    if text.lower().lstrip("+-") in (".inf", ".nan"):
        raise reader.refuse(f"{text} is no number that JSON has: put it in quotes", node)
    return _number(text, 2**63 - 1 if isinstance(reader, Pulumi) else 2**64 - 1)


def _construct_bool(reader: _Reader, node: yaml.ScalarNode) -> bool:
    return str(reader.construct_scalar(node)) in TRUE.split("|")


def _construct_text(reader: _Reader, node: yaml.ScalarNode) -> str:
    return str(reader.construct_scalar(node))


def _construct_time(reader: _Reader, node: yaml.ScalarNode) -> str:
    text = str(reader.construct_scalar(node))
    # Pulumi hands it over with clock and zone.
    return f"{text} 00:00:00 +0000 UTC" if re.fullmatch("[0-9-]+", text) else f"{text} +0000 UTC"


def _construct_foreign(reader: _Reader, node: yaml.Node) -> Any:
    raise reader.refuse(f"{node.tag.removeprefix(_TAG)} is a type that JSON does not have: write plain values", node)


def _mapping(reader: _Reader, node: yaml.MappingNode) -> dict[str, Any]:
    own = [key for key, _ in node.value if key.tag != MERGE]
    seen: dict[str, yaml.Node] = {}
    for key in own:
        name = _key(reader, key)
        if name in seen:
            raise reader.refuse(f"{name!r} is given twice", key)
        seen[name] = key
    reader.flatten_mapping(node)
    return {_key(reader, key): reader.construct_object(value, deep=True) for key, value in node.value}


def _key(reader: _Reader, node: yaml.Node) -> str:
    """A key as text, which both make of one that is none."""
    value = reader.construct_object(node, deep=True)
    if not isinstance(node, yaml.ScalarNode):
        raise reader.refuse("a list or mapping, and a key is text: put it in quotes", node)
    written = str(node.value)
    kind = "nothing"
    if isinstance(value, bool):
        kind = value = str(value).lower()
    elif isinstance(value, (int, float)):
        kind, value = f"the number {value}", str(value)
    elif isinstance(value, str):
        kind = "a time"
    if value != written:
        raise reader.refuse(f"{written} would be read as {kind}, and a key is text: put it in quotes", node)
    return written


def _resolvers() -> Iterator[tuple[type[Any], str, re.Pattern[str], str]]:
    """Which plain texts are no text, by their first characters: to each reader, and to any that the writer knows of."""
    yield Kubernetes, BOOL, BOOLS, "yYnNtTfFoO"
    yield Pulumi, BOOL, BOOLS_OF_3, "tTfF"
    yield Pulumi, TIME, TIMES, "0123456789"
    for reader in (Kubernetes, Pulumi):
        yield reader, NULL, NULLS, "~nN"
        yield reader, NUMBER, NUMBERS, "-+.0123456789"
        yield reader, MERGE, re.compile("<<$"), "<"
    yield _Writer, BOOL, BOOLS, "yYnNtTfFoO"
    yield _Writer, NUMBER, ANY_NUMBER, "-+.0123456789"
    yield _Writer, TIME, TIMES, "0123456789"


for _reader, _tag, _pattern, _first in _resolvers():
    _reader.add_implicit_resolver(_tag, _pattern, list(_first) + ([""] if _tag == NULL else []))
_CONSTRUCTORS: dict[str, Callable[[Any, Any], Any]] = {
    BOOL: _construct_bool,
    NUMBER: _construct_number,
    f"{_TAG}float": _construct_number,
    TIME: _construct_text,
    MERGE: _construct_text,
    **dict.fromkeys((f"{_TAG}{kind}" for kind in ("binary", "set", "omap", "pairs")), _construct_foreign),
    f"{_TAG}map": _mapping,
}
for _tag, _constructor in _CONSTRUCTORS.items():
    for _kind in (Kubernetes, Pulumi):
        _kind.add_constructor(_tag, _constructor)
Pulumi.add_constructor(TIME, _construct_time)
