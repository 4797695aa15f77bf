"""What nodes are given beside what their kubelets say: the role of their pool, and the pool's labels and taints.

Owns which machine gets what; kubelets say `worker` of every compute machine, and nothing else. Does not own the forms
(node_values.py), nor how a Node gets it (scripts/).
"""

from __future__ import annotations

from typing import Any

from cluster.machines import Machine
from cluster.node_values import ROLE
from cluster.site import Site

# What kubelets and the machine-config operator call machines of these roles.
PLAIN = ("compute", "worker")


def role(machine: Machine) -> str:
    """The role that its kubelet does not give it; empty for the control plane and plain compute machines."""
    return machine.pool if machine.role == "compute" and machine.pool not in PLAIN else ""


def given(site: Site, machine: Machine) -> dict[str, Any]:
    """What `node-join` gives the machine's Node, as a document has it; empty when that is nothing."""
    pool, own = site.settings.pools[machine.pool], role(machine)
    labels = ({f"{ROLE}{own}": ""} if own else {}) | dict(pool.labels)
    if not labels and not pool.taints:
        return {}
    return {
        "labels": dict(sorted(labels.items())),
        "taints": taints(site, machine.pool),
        "pool": own if site.settings.install.machine_config_pools else "",
    }


def taints(site: Site, pool: str) -> list[dict[str, str]]:
    """A pool's taints, as Kubernetes has them."""
    found = [{key: text for key, text in one.model_dump().items() if text} for one in site.settings.pools[pool].taints]
    return sorted(found, key=lambda one: (one["key"], one["effect"]))
