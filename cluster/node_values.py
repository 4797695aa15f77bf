"""Labels and taints of nodes, by Kubernetes' own rules.

Owns their forms, which of them belong to the kubelet or to the cluster's operators, and for each refusal the harm and
the fix. Does not own which machines get them (nodes.py).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from cluster.section import Section
from cluster.values import LABEL, as_text, refused, written

ROLE = "node-role.kubernetes.io/"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
PREFIX_LIMIT = 253
# Written by the kubelet, by controllers or by operators, which would write over it, or read it as their own.
KUBELETS = (
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "node.openshift.io/os_id",
)
OPERATORS = ("machineconfiguration.openshift.io/", "machine.openshift.io/", "okd-libvirt/")
CONTROLLERS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "k8s.ovn.org/", "node.ovn.org/")
CONTROL_PLANES = (f"{ROLE}master", f"{ROLE}control-plane")
DRAINING = "UpdateInProgress"


def _key(value: Any, what: str) -> str:
    text = as_text(value, f"the key of a {what}")
    prefix, slash, name = text.rpartition("/")
    good = not slash or (len(prefix) <= PREFIX_LIMIT and all(LABEL.fullmatch(part) for part in prefix.split(".")))
    if not good or not NAME.fullmatch(name):
        raise refused(
            f"not the key of a {what}, so the API would refuse it",
            "write at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends; before it, if at all, "
            "a DNS domain and '/', e.g. example.com/tier",
        )
    return text


def label_key(value: Any) -> str:
    """A label's key that nobody else writes."""
    text = _key(value, "label")
    if text.startswith(ROLE):
        raise refused(
            "a node's role is its pool's name; with another pool's it would belong to two MachineConfigPools",
            "leave it out, and name the machine's pool as its role",
        )
    if text in KUBELETS or text.startswith(OPERATORS):
        raise refused("the kubelet or an operator of the cluster writes this label itself", "choose another key")
    return text


def label_value(value: Any) -> str:
    """A label's or a taint's value, which may be empty."""
    text = as_text(value, "a value")
    if text and not NAME.fullmatch(text):
        raise refused(
            "not the value of a label or taint, so the API would refuse it",
            "write at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends; or \"\"",
        )
    return text


def taint_key(value: Any) -> str:
    """A taint's key that nobody else writes."""
    text = _key(value, "taint")
    if text in (*CONTROL_PLANES, DRAINING) or text.startswith((*CONTROLLERS, *OPERATORS)):
        raise refused(
            "the cluster's own controllers and operators set and remove this taint",
            f"choose another key, e.g. {ROLE}infra or example.com/dedicated",
        )
    return text


_NAME = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = rf"^([a-z0-9.-]+/)?{_NAME}$"
LabelKey = Annotated[str, BeforeValidator(label_key), written("label key", _KEY, "example.com/tier")]
LabelValue = Annotated[str, BeforeValidator(label_value), written("text", rf"^({_NAME})?$")]
TaintKey = Annotated[str, BeforeValidator(taint_key), written("taint key", _KEY, "example.com/dedicated")]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Taint(Section):
    """One taint, which keeps off every pod that does not tolerate it."""

    key: TaintKey
    """Its key, e.g. node-role.kubernetes.io/infra; those of the cluster's own controllers are refused."""
    value: LabelValue = ""
    """Its value."""
    effect: Effect
    """What it does to pods that do not tolerate it."""
