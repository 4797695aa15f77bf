"""The manifests that a user adds: a directory of Kubernetes objects, in whatever form `oc apply -f` takes them.

Owns reading them as Kubernetes does, making one object a file of them, since the bootstrap machine reads no second one,
and saying which the installer or that machine would lose or choke on. Does not own what is in them, nor the built-in
ones (manifests.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cluster import go_yaml

ENDINGS = (".yaml", ".yml", ".json")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RESERVED = re.compile(r"99-okd-.*|cluster-scheduler-02-config\.yml")
# Where Kubernetes takes text alone, and refuses the whole object for a number or a true.
TEXTS = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}


class Identity(NamedTuple):
    """What the API knows an object by, whatever its version."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class UserManifest:
    """One object: the name and text of its file, what is in it, and the file of the user's that it comes from."""

    name: str
    text: str
    object: dict[str, Any]
    source: str

    @property
    def secret(self) -> bool:
        """Whether its text must not be shown."""
        return bool(self.object["kind"] == "Secret")

    @property
    def identity(self) -> Identity:
        """What the API knows the object by."""
        group, slash, _ = self.object["apiVersion"].partition("/")
        metadata = self.object["metadata"]
        return Identity(
            group if slash else "", self.object["kind"], str(metadata.get("namespace") or ""), metadata["name"]
        )


@dataclass(frozen=True)
class Fault:
    """A file that cannot be used: its name, what would come of it, and how to put it right."""

    name: str
    harm: str
    fix: str


def load(directory: Path) -> tuple[list[UserManifest], list[Fault]]:
    """The manifests of a directory in the order of their names, and what is wrong with the others.

    Hidden files are left out. Of a file with several objects, `a.yaml`, come `a-1.yaml`, `a-2.yaml` and so on.

    Raises:
        OSError: the directory cannot be read.
    """
    manifests: dict[str, UserManifest] = {}
    faults = []
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        for found in _read(path):
            if isinstance(found, Fault):
                faults.append(found)
            elif found.name in manifests:
                harm = f"an object of another file would be written to {found.name} as well, and one of the two lost"
                faults.append(Fault(path.name, harm, "rename one of the files"))
            else:
                manifests[found.name] = found
    return [manifests[name] for name in sorted(manifests)], faults


def _read(path: Path) -> Iterator[UserManifest | Fault]:
    name = path.name
    if fault := _unusable(path):
        yield fault
        return
    try:
        # Windows' line ends are none of the objects' texts.
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        yield Fault(name, f"cannot be read: {error}", "make it a readable text file")
        return
    try:
        documents = _json(text) if text.lstrip().startswith("{") else go_yaml.load_all(text, go_yaml.Kubernetes)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f" in line {mark.line + 1}" if mark else ""
        why = f" ({problem})" if problem else ""
        yield Fault(name, f"not YAML that Kubernetes reads{place}{why}, so the installation would stop", "correct it")
        return
    objects = [one for document in documents if document is not None for one in _items(document)]
    if not objects:
        yield Fault(name, "empty", "put an object into it, or remove it")
    # The bootstrap machine reads the first document and no list, and takes JSON for YAML, which knows no \/.
    if len(objects) == 1 and objects[0] is documents[0] and "\\/" not in text:
        yield _object(path, name, text if text.endswith("\n") else f"{text}\n", objects[0])
    else:
        for number, one in enumerate(objects, 1):
            part = f"{path.stem}-{number}{path.suffix}" if len(objects) > 1 else name
            found = _object(path, part, _written(one, path.suffix), one)
            if isinstance(found, Fault) and part != name:
                found = Fault(name, f"object {number}: {found.harm}", found.fix)
            yield found


def _unusable(path: Path) -> Fault | None:
    name = path.name
    if path.is_dir():
        return Fault(name, "a directory: the installer reads none of its files", "move its files up")
    if path.suffix not in ENDINGS:
        return Fault(name, "the installer reads no file of this name", f"end the name in {' or '.join(ENDINGS)}")
    if RESERVED.fullmatch(name):
        return Fault(name, "the name of a built-in manifest, which it would take the place of", "choose another name")
    if not NAME.fullmatch(name):
        return Fault(name, "the services host takes no such name", "use letters, digits, dots and hyphens")
    return None


def _json(text: str) -> list[Any]:
    """The values in a text that begins as JSON does: several, one after the other, or YAML that only begins so."""
    found: list[Any] = []
    rest = text.strip()
    while rest:
        try:
            value, end = json.JSONDecoder(object_pairs_hook=_once).raw_decode(rest)
        except json.JSONDecodeError:
            return go_yaml.load_all(text, go_yaml.Kubernetes)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice")
        found[key] = value
    return found


def _items(document: Any) -> list[Any]:
    """The objects of a list, of lists in it too; the document itself where it is none.

    In a list of one kind, a ConfigMapList say, they need not tell theirs.
    """
    kind = str(document.get("kind")) if isinstance(document, dict) else ""
    items = document.get("items") if kind.endswith("List") else None
    if not isinstance(items, list):
        return [document]
    told = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")} if kind != "List" else {}
    return [one for item in items for one in _items(told | item if isinstance(item, dict) else item)]


def _written(one: Any, suffix: str) -> str:
    return json.dumps(one, indent=2) + "\n" if suffix == ".json" else go_yaml.dump(one)


def _object(path: Path, part: str, text: str, document: Any) -> UserManifest | Fault:
    name = path.name
    head = document if isinstance(document, dict) else {}
    metadata = head.get("metadata")
    if not all(isinstance(head.get(key), str) and head[key] for key in ("apiVersion", "kind")):
        return Fault(name, "no Kubernetes object: the bootstrap would wait for it for ever", "give apiVersion and kind")
    if not isinstance(metadata, dict) or metadata.get("name") is None:
        return Fault(name, "an object without a name: the API refuses it", "give metadata.name")
    for setting, value in _texts(head, metadata):
        if not isinstance(value, str):
            kind = "true or false" if isinstance(value, bool) else "a number" if isinstance(value, (int, float)) else ""
            harm = (
                f"{setting} is {kind or 'no text'} to Kubernetes, which takes text alone there and refuses the object"
            )
            return Fault(name, harm, "put it in quotes")
    return UserManifest(part, text, head, name)


def _texts(head: dict[str, Any], metadata: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What of an object must be text, with where it stands; what is left out or null is none of it."""
    yield from ((f"metadata.{key}", metadata[key]) for key in ("name", "namespace") if metadata.get(key) is not None)
    maps = {f"metadata.{key}": metadata.get(key) for key in ("labels", "annotations")}
    if head["apiVersion"] == "v1":
        maps |= {key: head.get(key) for key in TEXTS.get(head["kind"], ())}
    for place, values in maps.items():
        if isinstance(values, dict):
            yield from ((f"{place}.{key}", value) for key, value in values.items() if value is not None)
