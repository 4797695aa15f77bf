"""What the cluster says of itself: its version and its operators.

Owns reading ClusterVersion, ClusterOperators and OperatorHub. Does not own waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from okd_host.installation.api import Api

OPERATORS = "/apis/config.openshift.io/v1/clusteroperators"
VERSION = "/apis/config.openshift.io/v1/clusterversions/version"
ETCD = "/apis/operator.openshift.io/v1/etcds/cluster"
HUB = "/apis/config.openshift.io/v1/operatorhubs/cluster"
NOT_THERE = "there is no ClusterVersion yet"


class Operators(NamedTuple):
    """How many operators there are; why each that is not Available is not, and what is Degraded, by name."""

    total: int
    unavailable: dict[str, str]
    degraded: dict[str, str]

    @property
    def available(self) -> int:
        """How many are Available."""
        return self.total - len(self.unavailable)


class Version(NamedTuple):
    """The cluster's version; `message` says what it is at, or what is wrong."""

    version: str
    available: bool
    progressing: bool
    failing: bool
    message: str

    @property
    def settled(self) -> bool:
        """Whether it runs, and nothing of it is on its way or failing."""
        return self.available and not self.progressing and not self.failing


def conditions(thing: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The conditions of an object by their type."""
    return {str(one["type"]): one for one in (thing.get("status") or {}).get("conditions") or []}


def _is(found: Mapping[str, Mapping[str, Any]], kind: str) -> bool:
    return found.get(kind, {}).get("status") == "True"


def _said(found: Mapping[str, Mapping[str, Any]], *kinds: str) -> str:
    """The first message of these conditions, in one line."""
    for kind in kinds:
        text = found.get(kind, {}).get("message") or found.get(kind, {}).get("reason") or ""
        if text:
            return " ".join(str(text).split())
    return "it has not reported yet"


def operators(api: Api) -> Operators:
    """All operators. Raises Silent or Refused."""
    unavailable, degraded = {}, {}
    items = api.get(OPERATORS).get("items") or []
    for item in items:
        name, found = str(item["metadata"]["name"]), conditions(item)
        if not _is(found, "Available"):
            unavailable[name] = _said(found, "Available", "Degraded", "Progressing")
        elif _is(found, "Degraded"):
            degraded[name] = _said(found, "Degraded")
    return Operators(len(items), unavailable, degraded)


def version(api: Api) -> Version:
    """The cluster's version. Raises Silent or Refused."""
    item = api.find(VERSION)
    if item is None:
        return Version("", False, True, False, NOT_THERE)
    found, status = conditions(item), item.get("status") or {}
    failing = _is(found, "Failing")
    kinds = ("Failing", "Progressing", "Available") if failing else ("Progressing", "Available")
    text = _said(found, *kinds)
    number = str((status.get("desired") or {}).get("version") or "")
    return Version(number, _is(found, "Available"), _is(found, "Progressing"), failing, text)


def disable_sources(api: Api, disable: bool) -> str:
    """Let the default catalog sources be as meant; what had to be done. Raises Silent or Refused."""
    hub = api.find(HUB)
    if hub is None:
        return "this cluster has none"
    spec = hub.get("spec") or {}
    words = f"default sources {'disabled' if disable else 'enabled'}"
    if bool(spec.get("disableAllDefaultSources")) == disable:
        return f"{words}, as they were"
    api.patch(HUB, {"spec": {"disableAllDefaultSources": disable}})
    return words
