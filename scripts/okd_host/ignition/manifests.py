"""Our manifests beside those that the installer made.

Owns which names and objects may not meet: at bootstrap, a file of the same name silently replaces another, and of two
files with the same object the first one applied wins. Does not own what is in them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from okd_host import report

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(yaml|yml|json)")
FOLDERS = ("manifests", "openshift")
# What the installer makes and a cluster's administrator may want otherwise: these are replaced by ours.
REPLACEABLE = (
    "cluster-dns-02-config.yml",
    "cluster-ingress-02-config.yml",
    "cluster-network-02-config.yml",
    "cluster-scheduler-02-config.yml",
    "99_feature-gate.yaml",
)


class Identity(NamedTuple):
    """What an object is known by in the cluster."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


def identities(text: str) -> Iterator[Identity]:
    """The objects of a manifest, as far as plain YAML or JSON tells them."""
    for document in re.split(r"^---\s*$", text, flags=re.MULTILINE):
        known = _json(document) if document.lstrip().startswith("{") else _yaml(document)
        if known and all(known):
            version, kind, namespace, name = (part.strip("\"'") for part in known)
            yield Identity(version.rpartition("/")[0], kind, namespace.strip("-"), name)


def _json(text: str) -> tuple[str, str, str, str] | None:
    try:
        known = json.loads(text)
        own = known["metadata"]
        return str(known["apiVersion"]), str(known["kind"]), str(own.get("namespace", "-")), str(own["name"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _yaml(text: str) -> tuple[str, str, str, str] | None:
    top = dict(re.findall(r"^(apiVersion|kind):\s*(\S+)", text, re.MULTILINE))
    # All of the block: its lines are indented, and those right below it equally far.
    block = re.search(r"^metadata:[ \t]*\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    indent = re.match(r"\n*([ \t]+)", block[1]) if block else None
    if not block or not indent:
        return None
    own = dict(re.findall(rf"^{indent[1]}(name|namespace):\s*(\S+)", block[1], re.MULTILINE))
    return top.get("apiVersion", ""), top.get("kind", ""), own.get("namespace", "-"), own.get("name", "")


def add(directory: str, ours: Mapping[str, str], objects: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """Put `ours` beside the installer's manifests in `directory`; the names replaced. Raises Failed on a collision.

    `objects` tells what is in those of `ours` that may be written in any way that YAML knows.
    """
    places = {name: folder for folder in FOLDERS for name in os.listdir(os.path.join(directory, folder))}
    replaced = sorted(name for name in ours if name in places and name in REPLACEABLE)
    theirs: dict[Identity, str] = {}
    for name, folder in places.items():
        if name not in replaced:
            with open(os.path.join(directory, folder, name)) as file:
                theirs.update((identity, name) for identity in identities(file.read()))
    problems = []
    for name, text in sorted(ours.items()):
        if not NAME.fullmatch(name):
            problems.append(f"{name}: must be a plain file name that ends in .yaml, .yml or .json")
        elif name in places and name not in replaced:
            problems.append(f"{name}: the installer makes a manifest of this name")
        known = (objects or {}).get(name)
        for identity in [Identity(**known)] if known else identities(text):
            if identity in theirs:
                problems.append(f"{name}: {identity} is also in {theirs[identity]}, which the installer makes")
    if problems:
        raise report.Failed(
            f"{len(problems)} of our manifests would collide with the installer's",
            message="\n".join(problems),
            in_service="what was published before",
            remedy="rename these manifests or take them out; to replace one of the installer's, give yours its name "
            f"(possible for {', '.join(REPLACEABLE)})",
        )
    for name, text in ours.items():
        path = os.path.join(directory, places.get(name, "openshift"), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return replaced
