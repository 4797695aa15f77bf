"""What a change of the settings does to the ingress that stands, and to what nodes are given.

Owns which of that is refused, and its words. Does not own the placement (cluster/ingress.py), nor machines themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import ingress, nodes
from cluster.changes.effects import Effect, effect, listed
from cluster.changes.standing import Standing
from cluster.plan import Plan
from cluster.settings_problems import Problem

SETTING = "install.ingress.pool"


def refused(plan: Plan) -> Iterator[Problem]:
    """A pool that the installed cluster's routers run on, and that would be gone before they run elsewhere."""
    was, now = plan.before.ingress, plan.settings.install.ingress.pool
    old = plan.before.outputs.get("machines") or ()
    rows = [row["name"] for row in old if row["pool"] == was]
    compact = not plan.of_role("compute") and any(row["role"] == "compute" for row in old)
    if not was or not rows or compact:  # an installed cluster that loses all its compute machines is refused as such
        return
    stay = {machine.name: machine.pool for machine in plan.members}
    if not stay.keys() & set(rows):
        yield Problem(
            SETTING,
            now or "",
            f"the ingress of the installed cluster runs on pool {was}, and all of its machines ({', '.join(rows)}) "
            "would go at once: nothing behind it could be reached until it runs elsewhere",
            f"do it in two updates: with {', '.join(rows)} declared set {SETTING} to another pool, then remove them",
        )
    elif now is None and was not in (*stay.values(), *nodes.PLAIN):
        yield Problem(
            SETTING,
            "",
            f"the ingress of the installed cluster runs on pool {was}, and no machine is in it any more: its routers "
            "would find no place when they start again",
            f"say where it shall run: set {SETTING} to another pool",
        )


def moves(plan: Plan) -> bool:
    """Whether the settings move a running cluster's ingress by name, or may."""
    return plan.before.installed and plan.settings.install.ingress.pool not in (None, plan.before.ingress)


def effects(standing: Standing, plan: Plan) -> Iterator[Effect]:
    """The move of the ingress, and what Nodes get that they have not."""
    if moves(plan):
        now = ingress.of(plan)
        names = listed([machine.name for machine in now.machines])
        yield effect(
            f"{SETTING} {plan.before.ingress or 'unknown'} -> {now.pool}: the running cluster's routers move to "
            f"{names}, unless they are there; until then the load balancer reaches them where they run, and no "
            "connection ends with it"
        )
    groups: dict[str, list[str]] = {}
    for machine in plan.members:
        old = standing.document(f"{machine.name}-join")
        if old is None:
            continue
        was, now_given = old.get("node") or {}, nodes.given(plan, machine)
        if was != now_given:
            groups.setdefault(_words(now_given), []).append(machine.name)
    for words, machines in groups.items():
        yield effect(f"{listed(machines)}: the Node gets {words}; nothing is rebuilt")


def _words(given: dict[str, object]) -> str:
    labels, taints = given.get("labels") or {}, given.get("taints") or []
    assert isinstance(labels, dict)
    assert isinstance(taints, list)
    said = [f"label {key}={text}" if text else f"label {key}" for key, text in labels.items()]
    said += [f"taint {one['key']}:{one['effect']}" for one in taints]
    return listed(said) if said else "no label or taint of ours any more"
