"""Where the ingress runs: the machines of one pool, and which of the others may still serve while it moves.

Owns the choice of the pool, and the placement that the cluster's IngressController is given. Does not own the load
balancer's rows (load_balancer.py), nor how a running cluster's routers move (scripts/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster import nodes
from cluster.machines import Machine
from cluster.node_values import CONTROL_PLANES, ROLE
from cluster.site import Site

INFRA, COMPUTE, WORKER = "infra", "compute", f"{ROLE}worker"
REPLICAS = 2


@dataclass(frozen=True)
class Ingress:
    """`machines` are those of the `pool`; an empty one stands for every compute machine.

    On `others` routers run only while the ingress moves, or where somebody moved it by hand.
    """

    pool: str
    machines: tuple[Machine, ...]
    others: tuple[Machine, ...]

    @property
    def replicas(self) -> int:
        """How many routers there are: they take a port of their machine, so one a machine at most."""
        # Plain compute machines have no label that those of other pools have not.
        able = (*self.machines, *self.others) if self.pool in nodes.PLAIN else self.machines
        return min(REPLICAS, len(able))


def of(site: Site) -> Ingress:
    """The ingress of a stack."""
    members = site.of_role("compute") or site.of_role("control-plane")
    pool = site.settings.install.ingress.pool
    if pool is None:
        pool = site.before.ingress if site.before.installed else _usual(members)
    everyone = (*site.of_role("control-plane"), *site.of_role("compute"))
    machines = tuple(machine for machine in everyone if machine.pool == pool)
    if not machines:
        return Ingress("", members, ())
    return Ingress(pool or "", machines, tuple(machine for machine in members if machine.pool != pool))


def _usual(members: tuple[Machine, ...]) -> str:
    """A new cluster's: what stands keeps its own, also when machines come that would change this."""
    pools = {machine.pool for machine in members}
    if members[0].role == "control-plane":
        return members[0].pool
    return next((name for name in (INFRA, COMPUTE) if name in pools), "")


def placement(site: Site) -> dict[str, Any]:
    """The `nodePlacement` of an IngressController; empty where it is the one that the cluster takes by itself."""
    ingress = of(site)
    explicit = site.settings.install.ingress.pool is not None
    if not ingress.pool or (ingress.machines[0].role == "control-plane" and not explicit):
        return {}
    found = _placement(site, ingress)
    return {} if found == _on(WORKER, []) else found


def moved(site: Site) -> dict[str, Any] | None:
    """What `await-install` brings about in a running cluster: only what the settings say by name."""
    ingress = of(site)
    if site.settings.install.ingress.pool is None or not ingress.pool:
        return None
    return {"pool": ingress.pool, "nodePlacement": _placement(site, ingress), "replicas": ingress.replicas}


def _placement(site: Site, ingress: Ingress) -> dict[str, Any]:
    machine = ingress.machines[0]
    tolerated = [
        {"key": one["key"], "operator": "Equal" if "value" in one else "Exists"}
        | {key: one[key] for key in ("value", "effect") if key in one}
        for one in nodes.taints(site, ingress.pool)
    ]
    if machine.role == "control-plane":
        own = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in CONTROL_PLANES]
        return _on(CONTROL_PLANES[0], [*own, *tolerated])
    own_role = nodes.role(machine)
    return _on(f"{ROLE}{own_role}" if own_role else WORKER, tolerated)


def _on(label: str, tolerations: list[dict[str, str]]) -> dict[str, Any]:
    return {"nodeSelector": {"matchLabels": {label: ""}}, **({"tolerations": tolerations} if tolerations else {})}
