"""What a Node is given beside what its kubelet says of it: its pool's role, labels and taints.

Owns setting and correcting them, and whether the pool's MachineConfigPool counts its machines. What was given is noted
on the Node: only that is taken away once the settings do not say it any more. Does not own what the settings say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from okd_host.installation import nodes
from okd_host.installation.api import Api, segment

MARK = "okd-libvirt/given"
ROLE = "node-role.kubernetes.io/"
POOLS = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools"
Taint = Mapping[str, Any]


class Wanted(NamedTuple):
    """`taints` as Kubernetes has them; `pool` is the MachineConfigPool's name, empty where there is to be none."""

    labels: dict[str, str]
    taints: list[dict[str, str]]
    pool: str

    @staticmethod
    def of(document: Mapping[str, Any] | None) -> Wanted:
        """What a document's `node` says; nothing where there is none."""
        found = document or {}
        return Wanted(dict(found.get("labels") or {}), list(found.get("taints") or []), found.get("pool") or "")


def settle(api: Api, node: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """The Node as it is once everything is given. Raises Silent or Refused (409 when it was changed meanwhile)."""
    body = patch(node, wanted)
    return api.patch(f"{nodes.PATH}/{segment(nodes.name(node))}", body) if body else node


def patch(node: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """What has to change; empty when nothing has."""
    metadata, body = node["metadata"], dict[str, Any]()
    have, given = metadata.get("labels") or {}, _given(node)
    labels: dict[str, str | None] = {key: text for key, text in wanted.labels.items() if have.get(key) != text}
    labels |= {key: None for key in given["labels"] if key in have and key not in wanted.labels}
    if labels:
        body["metadata"] = {"labels": labels}
    old = list((node.get("spec") or {}).get("taints") or [])
    ours = {*given["taints"], *map(_name, wanted.taints)}
    if _plain(one for one in old if _name(one) in ours) != _plain(wanted.taints):
        # The list is replaced as a whole, and others write it as well: only as it was read.
        body.setdefault("metadata", {})["resourceVersion"] = metadata["resourceVersion"]
        body["spec"] = {"taints": [*(one for one in old if _name(one) not in ours), *wanted.taints]}
    note = _note(wanted)
    if note != (metadata.get("annotations") or {}).get(MARK):
        body.setdefault("metadata", {})["annotations"] = {MARK: note}
    return body


def counted(api: Api, wanted: Wanted) -> tuple[bool, str]:
    """Whether the pool counts every Node that has its role. Raises Silent or Refused."""
    given = ", ".join([*wanted.labels, *map(_name, wanted.taints)])
    if not wanted.pool:
        return True, given or "that of its kubelet"
    pool = api.find(f"{POOLS}/{segment(wanted.pool)}")
    if pool is None:
        return True, f"{given}; the cluster has no MachineConfigPool {wanted.pool}: it keeps the workers' configuration"
    role = f"{ROLE}{wanted.pool}"
    members = sum(role in (node["metadata"].get("labels") or {}) for node in nodes.every(api))
    count = (pool.get("status") or {}).get("machineCount") or 0
    return count >= members, f"{given}; MachineConfigPool {wanted.pool} counts {count} of {members} machines"


def _name(taint: Taint) -> str:
    return f"{taint['key']}:{taint['effect']}"


def _plain(taints: Any) -> list[tuple[str, str]]:
    return sorted((_name(one), one.get("value") or "") for one in taints)


def _note(wanted: Wanted) -> str | None:
    if not wanted.labels and not wanted.taints:
        return None
    return json.dumps({"labels": sorted(wanted.labels), "taints": sorted(map(_name, wanted.taints))})


def _given(node: Mapping[str, Any]) -> dict[str, list[str]]:
    """What we noted; nothing where somebody else's words stand in its place."""
    text = (node["metadata"].get("annotations") or {}).get(MARK)
    try:
        found = json.loads(text or "{}")
        return {kind: [str(one) for one in found.get(kind) or ()] for kind in ("labels", "taints")}
    except (ValueError, AttributeError, TypeError):
        return {"labels": [], "taints": []}
