"""What a change of the settings does to the machines that stand, in words.

Owns the effects on machines, one by one and by pool. Does not own what rebuilds all of them (stack.py), nor
what is refused (changes.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cluster.changes.effects import Effect, Row, differs, effect, listed, number
from cluster.changes.standing import Standing
from cluster.machines import natural
from cluster.plan import Plan

SIZES = ("cpus", "memoryMiB", "diskGiB", "extraDisksGiB")


def effects(standing: Standing, plan: Plan) -> Iterator[Effect]:
    """The effects, in the table's order."""
    old, installed = standing.machines, standing.installed
    new = {machine.name: machine.output() for machine in (*plan.bootstrap_machines, *plan.members)}
    for name in sorted(old.keys() - new.keys(), key=natural):
        yield effect(_removed(old[name], plan, installed), objects(old[name]))
    for name, row in new.items():
        if name not in old:
            joins = " and joins the cluster" if installed and row["role"] != "bootstrap" else ""
            yield effect(f"{name} ({row['role']}, {row['address']}) is made{joins}")
    pairs = {name: (old[name], new[name]) for name in new if name in old}
    for was, now in pairs.values():
        yield from _single(was, now)
    yield from _resized(pairs, installed)


def objects(row: Row) -> set[str]:
    """The libvirt objects of a machine that stands."""
    return {domain(row), f"{row['name']}-root", *_extra_disks(row)}


def domain(row: Row) -> str:
    """A machine's domain as the state names it."""
    return f"{row['name']}-domain"


def _extra_disks(row: Row) -> list[str]:
    return [f"{row['name']}-data-{index}" for index, _ in enumerate(row.get("extraDisksGiB", ()))]


def _removed(was: Row, plan: Plan, installed: bool) -> str:
    name = was["name"]
    if installed and any(machine.name == name for machine in plan.of_role("bootstrap")):
        return f"{name} has done its work: its domain and volumes are removed"
    if installed and was.get("role") == "compute":
        return f"{name} is drained and leaves the cluster, then its domain and volumes are destroyed"
    return f"{name}: its domain and volumes are destroyed"


def _single(was: Row, now: Row) -> Iterator[Effect]:
    """What changes for one machine alone."""
    name = now["name"]
    if differs("mac", was, now):
        yield effect(f"a MAC change rebuilds {name} and nothing else; its disks stay", [domain(was)])
    if differs("address", was, now):
        yield effect(
            f"{name} moves from {was['address']} to {now['address']}: its lease, records and back ends with it; "
            "nothing is rebuilt"
        )
    if differs("role", was, now):
        yield effect(
            f"{name} becomes {now['role']} in place of {was['role']}, and is not rebuilt for it: a disk that is "
            f"installed already keeps what is on it, unless `pulumi up --replace '**::{name}-root'` empties it"
        )
    elif differs("pool", was, now):
        yield effect(f"{name} moves from pool {was['pool']} to pool {now['pool']}")


def _resized(pairs: Mapping[str, tuple[Row, Row]], installed: bool) -> Iterator[Effect]:
    """What new sizes do, one line for machines of a pool that change alike."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, (was, now) in pairs.items():
        if keys := [key for key in SIZES if differs(key, was, now)]:
            sizes = listed([f"{key} {_size(was[key])} -> {_size(now[key])}" for key in keys])
            groups.setdefault((now["pool"], sizes), []).append(name)
    for (pool, sizes), names in groups.items():
        whole = len(names) > 1 and names == [name for name, (_, now) in pairs.items() if now["pool"] == pool]
        yield effect(
            f"{sizes} of {f'pool {pool}' if whole else listed(names)}: {_rebuilt(names, installed)}"
            f"{_lost([pairs[name] for name in names])}",
            (one for name in names for one in _replaced(*pairs[name])),
        )


def _replaced(was: Row, now: Row) -> Iterator[str]:
    yield domain(was)
    if differs("diskGiB", was, now):
        yield f"{was['name']}-root"
    sizes = now["extraDisksGiB"]
    for index, (disk, size) in enumerate(zip(_extra_disks(was), was.get("extraDisksGiB", ()), strict=True)):
        if index >= len(sizes) or sizes[index] != size:
            yield disk


def _size(value: object) -> str:
    return f"[{', '.join(map(number, value))}]" if isinstance(value, list) else number(value)


def _rebuilt(names: Sequence[str], installed: bool) -> str:
    done = "drained and rebuilt" if installed else "rebuilt"
    if len(names) == 1:
        return f"{names[0]} is {done}"
    return f"{' then '.join(names)} are {done}{', one at a time' if installed else ''}"


def _lost(pairs: Sequence[tuple[Row, Row]]) -> str:
    gone = {name for pair in pairs for name in _replaced(*pair) if not name.endswith("-domain")}
    if not gone:
        return f"; what is on {'its' if len(pairs) == 1 else 'their'} disks stays"
    root = any(name.endswith("-root") for name in gone)
    extra = any(not name.endswith("-root") for name in gone)
    lost = listed([*(["the root disk"] if root else []), *(["an extra disk whose size changes"] if extra else [])])
    return f"; what is on {lost} is lost"
