"""The shape of a provider as its Python SDK has it, and as its plugin's schema has it, in one comparable form.

A type is a word ("string", "integer", "number", "boolean", "any", "asset", "archive"), ("array", type), ("map", type),
("enum", values) or ("object", {name: (type, required)}).
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import importlib
import inspect
import multiprocessing
import pkgutil
import re
import sys
import types
import typing
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pulumi
from pulumi import _types

Type = Any
Properties = dict[str, tuple[Type, bool]]
_WORDS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "any"}


@functools.cache
def package(name: str) -> dict[str, Any]:
    """What the SDK `name` offers: resources and functions by token, and the provider's inputs."""
    # In a process of its own: the SDKs' packages load lazily, and importing all of one leaves it without its classes.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        return apart.submit(_package, name).result()


def _package(name: str) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    provider: Properties = {}
    for module in _modules(name):
        source = inspect.getsource(module)
        for cls in _classes(module):
            if issubclass(cls, pulumi.ProviderResource):
                provider = arguments(vars(module)["ProviderArgs"])
            elif issubclass(cls, pulumi.CustomResource):
                init = inspect.getsource(cls._internal_init)  # type: ignore[attr-defined]
                token = re.findall(r"super\([^)]*\)\.__init__\(\s*'([^']+)'", init)[0]
                resources[token] = {
                    "inputs": arguments(vars(module)[f"{cls.__name__}Args"]),
                    "outputs": results(cls),
                    "secrets": _listed("additional_secret_outputs", init),
                    "replaces": _listed("replace_on_changes", init),
                }
        for token in set(re.findall(r"pulumi\.runtime\.invoke\('([^']+)'", source)):
            word = token.split(":")[-1]
            snake = re.sub(r"(?<!^)([A-Z])", r"_\1", word).lower()
            result = vars(module)[f"{word[0].upper()}{word[1:]}Result"]
            functions[token] = {"inputs": parameters(vars(module)[snake]), "outputs": results(result)}
    return {"resources": resources, "functions": functions, "provider": provider}


def _modules(name: str) -> list[types.ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = importlib.import_module(name)
        inner = [i.name for i in pkgutil.walk_packages(top.__path__, f"{name}.") if ".config" not in i.name]
        return [importlib.import_module(module) for module in inner if not module.endswith("_utilities")]


def _classes(module: types.ModuleType) -> list[type]:
    return [cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__]


def _listed(option: str, source: str) -> set[str]:
    found = re.search(rf"{option}=\[([^]]*(?:\[\*\])?[^]]*)\]\)", source)
    return set(re.findall(r'"([^"]+)"', found.group(1))) if found else set()


def arguments(cls: type) -> Properties:
    """The properties of an input class."""
    names = _types.input_type_py_to_pulumi_names(cls)
    kinds = _types.input_type_types(cls)
    defaults = inspect.signature(cls).parameters
    return {
        name: (normal(kinds[name], arguments), defaults[python].default is inspect.Parameter.empty)
        for python, name in names.items()
    }


def results(cls: type) -> Properties:
    """The properties of a resource, of a function's result, or of an output type in them."""
    scope = vars(sys.modules[cls.__module__])
    found: Properties = {}
    for name, member in vars(cls).items():
        if isinstance(member, property) and member.fget:
            hint = typing.get_type_hints(member.fget, scope)["return"]
            inner = typing.get_args(hint)[0] if typing.get_origin(hint) is pulumi.Output else hint
            found[getattr(member.fget, "_pulumi_name", name)] = (normal(hint, results), not _optional(inner))
    return found


def parameters(function: typing.Callable[..., Any]) -> dict[str, Type]:
    """The arguments of a function; an SDK does not tell which of them are needed."""
    hints = typing.get_type_hints(function, vars(sys.modules[function.__module__]))
    source = inspect.getsource(function)
    pulumi_names = dict(re.findall(r"__args__\['(\w+)'\] = (\w+)", source))
    return {name: normal(hints[python], arguments) for name, python in pulumi_names.items()}


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def normal(hint: Any, properties: typing.Callable[[type], Properties]) -> Type:
    """Bring a Python annotation into the comparable form."""
    if hint in _WORDS:
        return _WORDS[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kept = [word for word in inner if not _wrapping(word)]
        if {pulumi.Asset, pulumi.Archive} <= set(kept):
            return "asset"
        return normal(kept[0], properties)
    if origin is pulumi.Output:
        return normal(inner[0], properties)
    if origin in (collections.abc.Sequence, list):
        return ("array", normal(inner[0], properties))
    if origin in (collections.abc.Mapping, dict):
        return ("map", normal(inner[1], properties))
    if hint is pulumi.Archive:
        return "archive"
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return ("enum", tuple(sorted(member.value for member in hint)))
    if inspect.isclass(hint):
        return ("object", properties(hint))
    raise AssertionError(f"what is {hint!r}?")


def _wrapping(hint: Any) -> bool:
    if hint is type(None):
        return True
    origin = typing.get_origin(hint)
    if origin in (pulumi.Output, collections.abc.Awaitable) or hint is pulumi.Output:
        return True
    return inspect.isclass(hint) and hint.__name__.endswith("Dict")


def schema_properties(schema: dict[str, Any], spec: dict[str, Any], kind: str, required: str) -> Properties:
    """The properties of a schema's resource, function or type."""
    wanted = set(spec.get(required, []))
    return {name: (schema_type(schema, each), name in wanted) for name, each in spec.get(kind, {}).items()}


def schema_type(schema: dict[str, Any], spec: dict[str, Any]) -> Type:
    """Bring a schema's type into the comparable form."""
    if "oneOf" in spec:
        return schema_type(schema, spec["oneOf"][0])
    if reference := spec.get("$ref"):
        if reference.startswith("pulumi.json#/"):
            return {"Any": "any", "Asset": "asset", "Archive": "archive"}[reference.rsplit("/", 1)[-1]]
        named = schema["types"][reference.removeprefix("#/types/")]
        if "enum" in named:
            return ("enum", tuple(sorted(member["value"] for member in named["enum"])))
        return ("object", schema_properties(schema, named, "properties", "required"))
    if spec["type"] == "array":
        return ("array", schema_type(schema, spec["items"]))
    if spec["type"] == "object":
        return ("map", schema_type(schema, spec["additionalProperties"]))
    return spec["type"]
