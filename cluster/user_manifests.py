"""The manifests that a user adds: a directory of Kubernetes objects, one a file.

Owns reading them and saying which the installer or the bootstrap machine would lose or choke on. Does not own what is
in them, nor the built-in ones (manifests.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ENDINGS = (".yaml", ".yml", ".json")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RESERVED = re.compile(r"99-okd-.*|cluster-scheduler-02-config\.yml")


@dataclass(frozen=True)
class UserManifest:
    """One file: its name and text as they are, and the object in it."""

    name: str
    text: str
    object: dict[str, Any]

    @property
    def secret(self) -> bool:
        """Whether its text must not be shown."""
        return bool(self.object["kind"] == "Secret")

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Group, kind, name and namespace: what the API knows the object by, whatever its version."""
        group, slash, _ = self.object["apiVersion"].partition("/")
        metadata = self.object["metadata"]
        return group if slash else "", self.object["kind"], metadata["name"], str(metadata.get("namespace", ""))


@dataclass(frozen=True)
class Fault:
    """A file that cannot be used: its name, what would come of it, and how to put it right."""

    name: str
    harm: str
    fix: str


def load(directory: Path) -> tuple[list[UserManifest], list[Fault]]:
    """The manifests of a directory in the order of their names, and what is wrong with the others.

    Hidden files are left out.

    Raises:
        OSError: the directory cannot be read.
    """
    manifests, faults = [], []
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        found = _read(path)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            manifests.append(found)
    return manifests, faults


def _read(path: Path) -> UserManifest | Fault:
    name = path.name
    if path.is_dir():
        return Fault(name, "a directory: the installer reads none of its files", "move its files up")
    if path.suffix not in ENDINGS:
        return Fault(name, "the installer reads no file of this name", f"end the name in {' or '.join(ENDINGS)}")
    if RESERVED.fullmatch(name):
        return Fault(name, "the name of a built-in manifest, which it would take the place of", "choose another name")
    if not NAME.fullmatch(name):
        return Fault(name, "the services host takes no such name", "use letters, digits, dots and hyphens")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Fault(name, f"cannot be read: {error}", "make it a readable text file")
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        return Fault(name, f"not YAML{place}, so the installation would stop", "correct it")
    if len(documents) != 1:
        harm = "empty" if not documents else "more than one object: the bootstrap machine creates the first alone"
        return Fault(name, harm, "put one object in each file")
    return _object(name, text, documents[0])


def _object(name: str, text: str, document: Any) -> UserManifest | Fault:
    head = document if isinstance(document, dict) else {}
    metadata = head.get("metadata")
    if not all(isinstance(head.get(key), str) and head[key] for key in ("apiVersion", "kind")):
        return Fault(name, "no Kubernetes object: the bootstrap would wait for it for ever", "give apiVersion and kind")
    if str(head["kind"]).endswith("List"):
        return Fault(name, "a list of objects: the bootstrap machine cannot read it", "put one object in each file")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return Fault(name, "an object without a name: the API refuses it", "give metadata.name")
    return UserManifest(name, text if text.endswith("\n") else f"{text}\n", document)
