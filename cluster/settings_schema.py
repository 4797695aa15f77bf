"""A JSON Schema of a whole `Pulumi.<stack>.yaml`, for editors and for checks without Pulumi.

Owns the schema and the descriptions that it takes from the models' sources. Does not own the models, nor what only the
program can check: relations between settings (settings_checks.py) and the libvirt host (preflight.py).
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from cluster.machine_settings import Machine
from cluster.settings import Settings
from cluster.settings_keys import is_section, section
from cluster.values import LABEL, UNSET, UNSET_NETWORK

PREFIX = "okd-libvirt:"
# What Pulumi itself keeps in the file.
PULUMIS = ("secretsprovider", "encryptedkey", "encryptionsalt", "environment")
ENCRYPTED = {
    "type": "object",
    "properties": {"secure": {"type": "string", "description": "What `pulumi config set --secret` made."}},
    "required": ["secure"],
    "additionalProperties": False,
}
# Required although the models have a default for them: the checks of relations say more about their absence.
NEEDED = ((Settings, "machines"), (Machine, "address"))


def document() -> dict[str, Any]:
    """The schema of a stack's file."""
    sections = of_section(Settings)
    known = "|".join(sections["properties"])
    # Nothing can be derived for a network that is not ours.
    sections["properties"]["uplink"]["dependencies"] = {"bridge": ["cidr", "address", "gateway"]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack of okd-libvirt",
        "description": "Pulumi.<stack>.yaml; docs/settings.md describes each setting.",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{PREFIX}{key}": value for key, value in sections["properties"].items()},
                "required": [f"{PREFIX}{key}" for key in sections["required"]],
                "propertyNames": {"pattern": "^[^:]+:.+"},
                "patternProperties": {f"^{PREFIX}(?!({known})$)": False},
            },
            **{key: True for key in PULUMIS},
        },
        "required": ["config"],
    }


def of_section(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of one section: its settings and nothing else."""
    words = described(model)
    fields = {str(field.alias): (name, field) for name, field in model.model_fields.items()}
    required = [key for key, (name, _) in fields.items() if is_needed(model, name)]
    found = {
        "type": "object",
        "description": summary(model),
        "properties": {key: _of_field(field) | words[name][2] for key, (name, field) in fields.items()},
        "additionalProperties": False,
    }
    return found | ({"required": required} if required else {})


def is_needed(model: type[BaseModel], name: str) -> bool:
    """Whether a section cannot be without this field."""
    return model.model_fields[name].is_required() or (model, name) in NEEDED


def _of_field(field: FieldInfo) -> dict[str, Any]:
    inner, names = section(field.annotation)
    if inner is not None and names:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{LABEL.pattern}$"},
            "additionalProperties": of_section(inner),
        }
    if inner is not None:
        several = getattr(field.annotation, "__origin__", None) is tuple
        return {"type": "array", "items": of_section(inner)} if several else of_section(inner)
    found = _plain(TypeAdapter(field.rebuild_annotation()).json_schema())
    default = plain_default(field)
    if "patternProperties" in found:
        found = found | {"additionalProperties": False}
    if _holds_secret(field.annotation):
        found = {"anyOf": [found, ENCRYPTED]}
    return found if default is None else found | {"default": default}


def _holds_secret(kind: Any) -> bool:
    return kind is SecretStr or any(_holds_secret(one) for one in get_args(kind))


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A type's schema without the alternative `null`, which an optional setting is by being left out."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return others[0] if len(others) == 1 else schema


def plain_default(field: FieldInfo) -> Any:
    """A setting's own default as the file would hold it; None where it has none or it follows from others."""
    if field.is_required() or field.default in (UNSET, UNSET_NETWORK, None) or is_section(type(field.default)):
        return None
    return None if field.default_factory is not None else to_jsonable_python(field.default)


@cache
def _class_source(model: type[BaseModel]) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(sys.modules[model.__module__]))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == model.__name__)


def described(model: type[BaseModel]) -> dict[str, tuple[str, str, dict[str, str]]]:
    """For each field its meaning, its default in words if it has such, and both as a schema's description.

    They are the string after the field in the model's source: reading them there costs the program itself nothing.
    """
    body = _class_source(model).body
    found: dict[str, tuple[str, str, dict[str, str]]] = {}
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if node.target.id not in model.model_fields:
            continue
        text = following.value.value if _is_text(following) else ""  # type: ignore[attr-defined]
        meaning, _, default = re.sub(r"\s+", " ", str(text)).strip().partition("Default: ")
        whole = f"{meaning}Default: {default}." if default else meaning
        found[node.target.id] = (meaning.strip(), default, {"description": whole} if whole else {})
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def summary(model: type[BaseModel]) -> str:
    """What a section is, by its docstring."""
    return re.sub(r"\s+", " ", inspect.getdoc(model) or "").strip()
