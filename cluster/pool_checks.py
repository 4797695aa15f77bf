"""Relations of machine pools: their nodes' roles, labels and taints, and the pool that the ingress runs on.

Owns these cross checks and their harm and fix. Does not own the form of labels and taints (node_values.py).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster.node_values import NAME
from cluster.settings_problems import Problem, Refused
from cluster.values import LABEL

if TYPE_CHECKING:
    from cluster.settings import Settings

# Roles of the control plane: a compute machine with one would be taken for a machine of it.
PLANES = ("master", "control-plane", "arbiter")
MCO_POOLS = ("worker",)
KEEPS_OFF = ("NoSchedule", "NoExecute")


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """Every relation that does not hold; to be asked only where the machines' roles are sure."""
    used = {str(machine.pool) for machine in settings.machines.values()} & settings.pools.keys()
    compute = sorted(name for name in used if settings.pools[name].role == "compute")
    yield from _names(settings, compute)
    yield from _given(settings)
    if not refused.touches(*(f"pools.{name}.taints" for name in compute), "install.schedulableControlPlane"):
        yield from _all_tainted(settings, compute)
    if not refused.touches("install.ingress"):
        yield from _ingress(settings, used)


def _names(settings: Settings, compute: list[str]) -> Iterator[Problem]:
    for name in compute:
        if name in PLANES:
            yield Problem(
                f"pools.{name}",
                name,
                "its machines' nodes would have the role of the control plane, and be taken for it",
                "name the pool otherwise, or give it the role control-plane",
            )
        elif settings.install.machine_config_pools and (not LABEL.fullmatch(name) or name in MCO_POOLS):
            yield Problem(
                f"pools.{name}",
                name,
                "cannot be the name of a MachineConfigPool, which each pool of compute machines gets",
                "use lower-case letters, digits and hyphens, and none of master, worker and arbiter",
            )
        elif not NAME.fullmatch(name):
            yield Problem(
                f"pools.{name}",
                name,
                "cannot be a role of its machines' nodes, which is a label of that name",
                "use letters, digits and hyphens",
            )


def _given(settings: Settings) -> Iterator[Problem]:
    for name, pool in settings.pools.items():
        what = "labels" if pool.labels else "taints"
        if pool.role == "bootstrap" and (pool.labels or pool.taints):
            harm = "a bootstrap machine is no node of the cluster: nothing would have them"
            yield Problem(f"pools.{name}.{what}", "", harm, "leave them out")
        elif pool.role == "control-plane" and pool.taints:
            yield Problem(
                f"pools.{name}.taints",
                ", ".join(one.key for one in pool.taints),
                "the cluster's operators run on the control plane and tolerate no other taint than its own: they would "
                "have no place, and the installation no end",
                "leave them out; install.schedulableControlPlane says whether pods of users run there",
            )
        for (key, effect), count in Counter((one.key, one.effect) for one in pool.taints).items():
            if count > 1:
                harm = "one key may have one taint of an effect: the API refuses two"
                yield Problem(f"pools.{name}.taints", f"{key}:{effect}", harm, "keep one of them")


def _all_tainted(settings: Settings, compute: list[str]) -> Iterator[Problem]:
    if not compute or settings.install.schedulable_control_plane is True:
        return
    if all(any(one.effect in KEEPS_OFF for one in settings.pools[name].taints) for name in compute):
        yield Problem(
            f"pools.{compute[0]}.taints",
            ", ".join(one.key for one in settings.pools[compute[0]].taints),
            "every compute machine would be tainted, and the control plane takes no workloads: operators such as "
            "monitoring would have no place, and the installation no end",
            "leave one pool without taints that keep pods off, or set install.schedulableControlPlane to true",
        )


def _ingress(settings: Settings, used: set[str]) -> Iterator[Problem]:
    name = settings.install.ingress.pool
    if name is None:
        return
    able = sorted(pool for pool in used if settings.pools[pool].role != "bootstrap")
    if name in able:
        return
    near = difflib.get_close_matches(name, able, 1, 0.5)
    fix = f"did you mean {near[0]}?" if near else f"name one of {', '.join(able)}"
    if name not in settings.pools:
        harm = "no such machine pool, so that routers would find no machine, and the installation no end"
    elif settings.pools[name].role == "bootstrap":
        harm = "bootstrap machines are no nodes of the cluster: no router could run there"
    else:
        harm = "no machine is in this pool: routers would have no place, and the installation no end"
        fix = f"declare a machine in it, or name one of {', '.join(able)}"
    yield Problem("install.ingress.pool", name, harm, fix)
