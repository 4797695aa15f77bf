"""The cluster's Nodes: who is Ready, on which machine, and who may take pods.

Owns reading Node objects and the mark on those that we cordoned. Does not own machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okd_host.installation.api import Api, segment

PATH = "/api/v1/nodes"
# Only what was cordoned here is uncordoned here; the value says what for, and which boot was ended.
MARK = "okd-libvirt/cordoned"
OFF, LEAVING = "off", "leave"
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def every(api: Api) -> list[dict[str, Any]]:
    """Every Node."""
    return list(api.get(PATH).get("items") or [])


def find(api: Api, fqdn: str) -> dict[str, Any] | None:
    """The Node of that name."""
    return api.find(f"{PATH}/{segment(fqdn)}")


def name(node: Mapping[str, Any]) -> str:
    """Its name, which is a machine's fqdn."""
    return str(node["metadata"]["name"])


def uuid(node: Mapping[str, Any]) -> str:
    """The UUID of the machine that it last ran on, in lower case."""
    return str(_info(node).get("systemUUID") or "").lower()


def boot_id(node: Mapping[str, Any]) -> str:
    """Which boot of the machine it last ran in."""
    return str(_info(node).get("bootID") or "")


def ready(node: Mapping[str, Any]) -> bool:
    """Whether it is Ready, and not merely still said to be after its machine was shut down by us."""
    return condition(node, "Ready").get("status") == "True" and mark(node) not in (off_mark(node), left_mark(node))


def condition(node: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One of its conditions; empty when it has none of that type."""
    found = (node.get("status") or {}).get("conditions") or []
    return next((dict(one) for one in found if one.get("type") == kind), {})


def why_not_ready(node: Mapping[str, Any]) -> str:
    """What it says of itself when it is not Ready."""
    found = condition(node, "Ready")
    said = found.get("message") or found.get("reason") or "it has not reported yet"
    return f"Ready is {found.get('status', 'not set')}: {said}"


def cordoned(node: Mapping[str, Any]) -> bool:
    """Whether it takes no new pods."""
    return bool((node.get("spec") or {}).get("unschedulable"))


def control_plane(node: Mapping[str, Any]) -> bool:
    """Whether it is one of the control plane."""
    labels = node["metadata"].get("labels") or {}
    return any(label in labels for label in CONTROL_PLANE_LABELS)


def mark(node: Mapping[str, Any]) -> str:
    """What we cordoned it for; empty when we did not."""
    return str((node["metadata"].get("annotations") or {}).get(MARK) or "")


def off_mark(node: Mapping[str, Any]) -> str:
    """The mark of a machine that we shut down in its present boot, with all others."""
    return f"{OFF} {boot_id(node)}"


def left_mark(node: Mapping[str, Any]) -> str:
    """The mark of a machine that we shut down in its present boot, since it leaves."""
    return f"{LEAVING} {boot_id(node)}"


def leaving(node: Mapping[str, Any]) -> bool:
    """Whether it was cordoned because its machine leaves, or is made anew."""
    return mark(node).startswith(LEAVING)


def cordon(api: Api, node: Mapping[str, Any], why: str) -> None:
    """Let it take no new pods, and note that it was us; one that somebody else cordoned stays theirs."""
    if cordoned(node) and not mark(node):
        return
    body = {"metadata": {"annotations": {MARK: why}}, "spec": {"unschedulable": True}}
    api.patch(f"{PATH}/{segment(name(node))}", body)


def uncordon(api: Api, node: Mapping[str, Any]) -> bool:
    """Let it take pods again if it was us who stopped that; whether it was."""
    if not mark(node):
        return False
    body = {"metadata": {"annotations": {MARK: None}}, "spec": {"unschedulable": None}}
    api.patch(f"{PATH}/{segment(name(node))}", body)
    return True


def _info(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return (node.get("status") or {}).get("nodeInfo") or {}
