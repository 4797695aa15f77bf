"""Operator catalogs in the cluster: the objects by which it finds them and their content in the mirror registry.

Owns which of the objects that oc-mirror writes belong into the cluster, and in which form: without its time stamps and
in a fixed order, so that mirroring once more changes nothing. Nodes are born with the mirrors and the CatalogSources; a
ClusterCatalog waits for the operator that brings its kind. Does not own the mirroring (mirror.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from cluster import mirror
from cluster.site import Site

Object = dict[str, Any]

NAME = "okd-operator-catalogs"
# The files' names begin so; which there are is known once the release is mirrored.
PREFIX = "99-okd-catalog-"
CONFIG = "config.openshift.io/v1"
ROWS = {"ImageDigestMirrorSet": "imageDigestMirrors", "ImageTagMirrorSet": "imageTagMirrors"}
SOURCE, CATALOG = "CatalogSource", "ClusterCatalog"


def manifest_texts(site: Site, release: Mapping[str, Any]) -> dict[str, str]:
    """The install-time manifests, by file name; `release` is what `mirror` reports."""
    # JSON is YAML that every reader reads alike.
    return {
        f"{PREFIX}{one['kind'].lower()}-{one['metadata']['name']}.yaml": json.dumps(one, indent=1) + "\n"
        for one in objects(site, release)
        if one["kind"] != CATALOG
    }


def objects(site: Site, release: Mapping[str, Any]) -> list[Object]:
    """Every object that belongs into the cluster; none without catalogs. `release` is what `mirror` reports."""
    if not site.settings.release.operator_catalogs:
        return []
    texts: Mapping[str, str] = release.get("catalogs") or {}
    known = [one for name in sorted(texts) for one in yaml.safe_load_all(texts[name]) if isinstance(one, dict)]
    return [*_mirror_sets(site, known), *_catalogs(known)]


def _mirror_sets(site: Site, known: list[Object]) -> Iterator[Object]:
    """What the install-config does not say already, in one object a kind."""
    said = mirror.mirrors(site)
    policy = site.settings.install.source_policy
    for kind, key in ROWS.items():
        rows: dict[str, list[str]] = {}
        for one in known:
            for row in (one.get("spec") or {}).get(key) or [] if one.get("kind") == kind else ():
                places = rows.setdefault(row["source"], [])
                places += [place for place in row.get("mirrors") or [] if place not in places]
        more = {"mirrorSourcePolicy": policy} if policy else {}
        found = [
            {"source": source, "mirrors": rows[source]} | more
            for source in sorted(rows)
            if kind == "ImageTagMirrorSet" or source not in said
        ]
        if found:
            yield {"apiVersion": CONFIG, "kind": kind, "metadata": {"name": NAME}, "spec": {key: found}}


def _catalogs(known: list[Object]) -> Iterator[Object]:
    for one in sorted(known, key=lambda one: (str(one.get("kind")), str(one["metadata"]["name"]))):
        if one.get("kind") in (SOURCE, CATALOG):
            metadata = {key: one["metadata"][key] for key in ("name", "namespace") if key in one["metadata"]}
            yield {
                "apiVersion": one["apiVersion"],
                "kind": one["kind"],
                "metadata": metadata,
                "spec": one["spec"],
            }
