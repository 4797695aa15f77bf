"""What a change of the settings does to a stack that was brought up before.

Owns which changes an installed cluster could not survive, refused by name before anything is touched, and saying in
words what all others do. `before` are the stack's last outputs. Does not own the change itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.machines import natural
from cluster.plan import Plan
from cluster.settings_problems import Problem

Row = Mapping[str, Any]
SIZES = ("cpus", "memoryMiB", "diskGiB", "extraDisksGiB")
ETCD = "its etcd member, certificates and static pods are this machine's alone"


def refused(before: Mapping[str, Any], plan: Plan) -> list[Problem]:
    """What must not change any more; nothing while no cluster is installed.

    Args:
        before: the stack's outputs as its last update left them; an output that is missing refuses nothing.
        plan: the stack as its settings plan it now.
    """
    if not _installed(before):
        return []
    return [*_domain(before, plan), *_network(before, plan), *_control_plane(before, plan), *_compute(before, plan)]


def described(before: Mapping[str, Any], plan: Plan) -> list[str]:
    """What the change does to the machines, in words, in the table's order; empty when it touches none."""
    installed = _installed(before)
    old, new = _old(before), _new(plan)
    if not old:
        return []
    if installed:
        # Its work is done: whether it is still there is no matter of the settings of its row.
        old, new = ({name: row for name, row in rows.items() if row["role"] != "bootstrap"} for rows in (old, new))
    kept = [name for name in new if name in old]
    return [
        *(_removed(old[name], installed) for name in sorted(old.keys() - new.keys(), key=natural)),
        *(_added(row, installed) for name, row in new.items() if name not in old),
        *(line for name in kept for line in _single(old[name], new[name])),
        *_resized({name: (old[name], new[name]) for name in kept}, installed),
    ]


def _installed(before: Mapping[str, Any]) -> bool:
    return bool((before.get("installation") or {}).get("installed"))


def _old(before: Mapping[str, Any]) -> dict[str, Row]:
    return {row["name"]: row for row in before.get("machines") or ()}


def _new(plan: Plan) -> dict[str, Row]:
    return {machine.name: machine.output() for machine in plan.machines}


def _differs(key: str, old: Row, new: Row) -> bool:
    """Whether both rows know the key and disagree; an older program's outputs may not hold it."""
    return key in old and old[key] != new[key]


def _domain(before: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    domain = str(before.get("apiUrl", "")).removeprefix("https://api.").rpartition(":")[0]
    if not domain:
        return
    name, _, base = domain.partition(".")
    cluster = plan.settings.cluster
    for setting, was, now in (
        ("cluster.name", name, cluster.name),
        ("cluster.baseDomain", base, cluster.base_domain),
    ):
        if was != now:
            yield Problem(
                setting,
                now,
                f"a cluster is installed as {domain}: its certificates and its nodes' names cannot be renamed",
                f"write {was} again; another domain takes another stack",
            )


def _network(before: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    was, now = before.get("clusterNetwork"), str(plan.network)
    if was and was != now:
        yield Problem(
            "network.cidr",
            now,
            f"a cluster is installed on {was}: every machine would be rebuilt, etcd's members and their data with them",
            f"write {was} again; another network takes another stack",
        )


def _control_plane(before: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    old = {name: row for name, row in _old(before).items() if row["role"] == "control-plane"}
    new = {machine.name: machine.output() for machine in plan.of_role("control-plane")}
    gone = {name: row for name, row in old.items() if name not in new}
    for name, now in new.items():
        if name in old:
            yield from _kept(name, old[name], now)
            continue
        was = next(
            (one for one, row in gone.items() if {row["mac"], row["address"]} & {now["mac"], now["address"]}), ""
        )
        if was:
            del gone[was]
            yield Problem(
                f"machines.{name}",
                "",
                f"it was {was} when the cluster was installed, and a control plane machine cannot be renamed: {ETCD}",
                f"name it {was} again",
            )
        else:
            yield Problem(
                f"machines.{name}",
                "",
                "the control plane is that of the installation: nothing would make this machine an etcd member",
                "give it a pool of role compute, or declare it in a stack that is not installed yet",
            )
    for name, was_row in gone.items():
        yield Problem(
            f"machines.{name}",
            "",
            f"it is in the installed cluster's control plane, and would be destroyed: {ETCD}",
            f"declare it again as it was: pool {was_row['pool']}, address {was_row['address']}",
        )


def _compute(before: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    old = _old(before)
    if any(row["role"] == "compute" for row in old.values()) and not plan.of_role("compute"):
        yield Problem(
            "machines",
            "no compute machine",
            "the cluster was installed with compute machines: its control plane takes neither ingress nor workloads",
            "keep at least one machine in a pool of role compute; a compact cluster takes another stack",
        )
    for machine in plan.of_role("compute"):
        was, now = old.get(machine.name), machine.output()
        if was and was["role"] == now["role"] and _differs("address", was, now):
            yield Problem(
                f"machines.{machine.name}.address",
                now["address"],
                f"it joined the cluster as {was['address']}: its certificates and the load balancer's checks say so",
                f"write {was['address']} again; or take it out, update, and declare it with its new address",
            )


def _kept(name: str, was: Row, now: Row) -> Iterator[Problem]:
    setting = f"machines.{name}"
    if _differs("address", was, now):
        yield Problem(
            f"{setting}.address",
            now["address"],
            f"etcd and its certificates know this control plane machine at {was['address']}",
            f"write {was['address']} again",
        )
    if _differs("diskGiB", was, now):
        yield Problem(
            f"{setting}.diskGiB",
            str(now["diskGiB"]),
            "another size takes another disk, and the etcd member on this control plane machine's disk would be lost",
            f"write {_number(was['diskGiB'])} again, here or in pool {now['pool']}",
        )


def _removed(was: Row, installed: bool) -> str:
    if installed and was["role"] == "compute":
        return f"{was['name']} is drained and leaves the cluster, then its domain and volumes are destroyed"
    return f"{was['name']}: its domain and volumes are destroyed"


def _added(now: Row, installed: bool) -> str:
    joins = " and joins the cluster" if installed else ""
    return f"{now['name']} ({now['role']}, {now['address']}) is made{joins}"


def _single(was: Row, now: Row) -> Iterator[str]:
    """What changes for one machine alone."""
    name = now["name"]
    if _differs("mac", was, now):
        yield f"a MAC change rebuilds {name} and nothing else"
    if _differs("address", was, now):
        yield f"{name} moves from {was['address']} to {now['address']}: its lease, records and back ends with it"
    if _differs("role", was, now):
        yield f"{name} is rebuilt as {now['role']} in place of {was['role']}"
    elif _differs("pool", was, now):
        yield f"{name} moves from pool {was['pool']} to pool {now['pool']}"


def _resized(pairs: Mapping[str, tuple[Row, Row]], installed: bool) -> Iterator[str]:
    """What new sizes do, one line for machines of a pool that change alike."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, (was, now) in pairs.items():
        if keys := tuple(key for key in SIZES if _differs(key, was, now)):
            groups.setdefault((now["pool"], keys), []).append(name)
    for (pool, keys), names in groups.items():
        whole = len(names) > 1 and names == [name for name, (_, now) in pairs.items() if now["pool"] == pool]
        what = f"{_listed(keys)} of {f'pool {pool}' if whole else _listed(names)}"
        yield f"{what}: {_rebuilt(names, installed)}{_lost(keys)}"


def _rebuilt(names: Sequence[str], installed: bool) -> str:
    done = "drained and rebuilt" if installed else "rebuilt"
    if len(names) == 1:
        return f"{names[0]} is {done}"
    return f"{' then '.join(names)} are {done}{', one at a time' if installed else ''}"


def _lost(keys: Sequence[str]) -> str:
    disks = {"diskGiB": "the root disk", "extraDisksGiB": "an extra disk whose size changes"}
    lost = [disk for key, disk in disks.items() if key in keys]
    return f"; what is on {_listed(lost)} is lost" if lost else ""


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _number(value: Any) -> str:
    # Numbers come back from a state as floats.
    return f"{value:g}" if isinstance(value, float) else str(value)
