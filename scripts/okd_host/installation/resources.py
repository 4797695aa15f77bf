"""Objects that a running cluster is given: those of operator catalogs.

Owns where each kind lies in the API, and that an object which is there already changes only where its spec differs.
Does not own what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from okd_host.installation.api import Api, Refused, segment

Object = Mapping[str, Any]
PATHS = {
    "ImageDigestMirrorSet": "/apis/config.openshift.io/v1/imagedigestmirrorsets",
    "ImageTagMirrorSet": "/apis/config.openshift.io/v1/imagetagmirrorsets",
    "CatalogSource": "/apis/operators.coreos.com/v1alpha1/namespaces/{namespace}/catalogsources",
    "ClusterCatalog": "/apis/olm.operatorframework.io/v1/clustercatalogs",
}


def ensure(api: Api, objects: Iterable[Object]) -> str:
    """Let the cluster have the objects; what had to be done. Raises Silent or Refused."""
    done = {"made": 0, "changed": 0, "there already": 0}
    unknown = []
    for one in objects:
        try:
            done[_ensured(api, one)] += 1
        except _NoSuchKind:
            unknown.append(str(one["kind"]))
    words = [f"{number} {what}" for what, number in done.items() if number]
    words += [f"this cluster has no {kind}" for kind in dict.fromkeys(unknown)]
    return ", ".join(words)


class _NoSuchKind(Exception):
    """The release is older than the kind."""


def _ensured(api: Api, one: Object) -> str:
    metadata = one["metadata"]
    folder = PATHS[one["kind"]].format(namespace=segment(str(metadata.get("namespace", ""))))
    path = f"{folder}/{segment(str(metadata['name']))}"
    found = api.find(path)
    if found is None:
        try:
            api.post(folder, one)
        except Refused as refused:
            if refused.status == 404 and one["kind"] == "ClusterCatalog":
                raise _NoSuchKind from refused
            raise
        return "made"
    # What the cluster itself has filled in is not ours to take away.
    if _holds(found.get("spec") or {}, one["spec"]):
        return "there already"
    api.patch(path, {"spec": one["spec"]})
    return "changed"


def _holds(known: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is known."""
    if isinstance(wanted, dict):
        return isinstance(known, dict) and all(_holds(known.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(known, list) and len(known) == len(wanted) and all(map(_holds, known, wanted))
    return bool(known == wanted)
