"""Domains, networks, pools and volumes under the stack's names that are not the stack's, and those that it has lost.

Owns comparing libvirt's objects with what the stack's state holds. Does not own networks' addresses
(networks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cluster import footprint
from cluster.preflight.facts import Domain, Network, Pool
from cluster.preflight.look import Finding, Look, refuse, warn

KILLED = "if a killed `pulumi up` left it, `make up` puts it in order; else look at it, then"


def findings(look: Look) -> Iterator[Finding]:
    """Foreign objects under the plan's names, and what the state holds in vain."""
    yield from _domains(look)
    yield from _networks(look)
    yield from _pools(look)
    yield from _volumes(look)
    yield from _lost(look)


def _domains(look: Look) -> Iterator[Finding]:
    wanted, uuids = footprint.domains(look.plan), {one.uuid for one in look.held.domains.values()}
    for one in look.facts.domains or ():
        if one.name in wanted and one.uuid not in uuids:
            off = "" if not one.active else f"{look.virsh} destroy {one.name}; "
            yield _foreign("domain", one.name, f"{off}{look.virsh} undefine --nvram {one.name}")


def _networks(look: Look) -> Iterator[Finding]:
    names = look.plan.names
    wanted = {names.cluster_network}
    if look.plan.settings.uplink.bridge is None:
        wanted.add(names.uplink_network)
    for one in look.facts.networks or ():
        if one.name not in wanted:
            continue
        if one.uuid not in look.held.networks.values():
            down = "" if not one.active else f"{look.virsh} net-destroy {one.name}; "
            yield _foreign("network", one.name, f"{down}{look.virsh} net-undefine {one.name}")
        elif not one.active:
            yield _asleep(look, "network", one.name, f"{look.virsh} net-start {one.name}", bool(look.new_domains))


def _pools(look: Look) -> Iterator[Finding]:
    path, name = str(look.plan.settings.hypervisor.pool_path), look.plan.names.pool
    for one in look.facts.pools or ():
        if one.name != name and one.path is not None and one.path.rstrip("/") == path.rstrip("/"):
            yield refuse(
                "hypervisor.poolPath",
                path,
                f"libvirt has pool {one.name} in this directory, and takes no second one there",
                "write another directory, which is made when it is not there; or give up that pool: "
                f"{look.virsh} pool-destroy {one.name}; {look.virsh} pool-undefine {one.name}",
            )
        if one.name != name:
            continue
        if one.uuid not in look.held.pools.values():
            down = "" if not one.active else f"{look.virsh} pool-destroy {name}; "
            yield _foreign("pool", name, f"{down}{look.virsh} pool-undefine {name} (its files stay)")
        elif not one.active:
            yield _asleep(look, "pool", name, f"{look.virsh} pool-start {name}", bool(look.new_gib))


def _volumes(look: Look) -> Iterator[Finding]:
    if look.facts.volumes is None:
        return
    pool, wanted = look.plan.names.pool, footprint.volumes(look.plan)
    in_libvirt = any(one.name == pool for one in look.facts.pools or ())
    path = look.plan.settings.hypervisor.pool_path
    kept = footprint.registry_volume(look.plan)
    for name in sorted(look.facts.volumes - look.held.volumes.keys()):
        remove = f"{look.virsh} vol-delete {name} --pool {pool}" if in_libvirt else f"rm {path}/{name}"
        if name == kept:
            remove += " (it holds a registry's blobs: to keep them, move the file away first)"
        if name in wanted:
            yield _foreign("volume", name, remove)
        elif in_libvirt:
            yield warn(
                f"libvirt volume {name}",
                "",
                f"it is in the stack's pool {pool} and not of the stack: `pulumi destroy` could not remove the pool",
                remove,
            )


def _foreign(kind: str, name: str, remove: str) -> Finding:
    return refuse(
        f"libvirt {kind} {name}",
        "",
        f"the libvirt host has a {kind} of this name that the stack's state does not hold: making ours would fail",
        f"{KILLED} {remove}",
    )


def _asleep(look: Look, kind: str, name: str, start: str, needed: bool) -> Finding:
    say = refuse if needed else warn
    return say(f"libvirt {kind} {name}", "", "it is not active: nothing can be made or started on it", start)


def _lost(look: Look) -> Iterator[Finding]:
    """What the state holds and the host has no more: an update takes it for made."""
    facts, held = look.facts, look.held
    kinds: Sequence[tuple[str, Mapping[str, str], Sequence[Domain | Network | Pool] | None]] = (
        ("domain", {name: one.uuid for name, one in held.domains.items()}, facts.domains),
        ("network", held.networks, facts.networks),
        ("pool", held.pools, facts.pools),
    )
    gone = [
        f"{kind} {name}"
        for kind, known, found in kinds
        if found is not None
        for name, uuid in known.items()
        if uuid not in {one.uuid for one in found}
    ]
    if facts.volumes is not None:
        gone += [f"volume {name}" for name in held.volumes if name not in facts.volumes]
    if gone:
        shown = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        yield warn(
            "the stack's state",
            shown,
            "the libvirt host has it no more (removed by hand, or a run was killed): an update takes it for made",
            "make up puts in order what a killed run left; after removals by hand: pulumi refresh (in make shell)",
        )
