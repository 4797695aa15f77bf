"""What a change of the settings does to a stack that was brought up before.

Owns which changes an installed cluster could not survive, refused by name before anything is touched, and putting
together in words what all others do. `before` are the stack's last outputs. Does not own the words for each part of the
stack (machines.py, services.py, stack.py,
ingress.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from cluster.before import NETWORK, POOL
from cluster.changes import ingress, machines, services, stack
from cluster.changes.effects import Effect, Row, differs, number
from cluster.changes.form import Forms
from cluster.changes.standing import Standing
from cluster.plan import Plan
from cluster.settings_problems import Problem

ETCD = "its etcd member, certificates and static pods are this machine's alone"


def refused(plan: Plan) -> list[Problem]:
    """What must not change any more. What the state does not tell, of an older program, refuses nothing."""
    before = plan.before.outputs
    standing = Standing.of(plan.before)
    if not plan.before.installed:
        return list(_protected(standing, plan))
    return [
        *_domain(before, plan),
        *_network(before, plan),
        *_services(before, plan),
        *_below(standing, plan),
        *_control_plane(before, plan),
        *_compute(before, plan),
        *ingress.refused(plan),
    ]


def described(plan: Plan, *, image: Callable[[], str] | None = None, domain_type: str | None = None) -> list[str]:
    """What the change does, in words; empty when nothing changes, and for a stack that does not stand yet.

    Args:
        plan: the stack as its settings plan it now.
        image: gives the SHA-256 (hex) that identifies the services host's image; asked only where one stands.
        domain_type: the libvirt domain type of its machines, where it is known.
    """
    return [one.words for one in effects(plan, image=image, domain_type=domain_type)]


def effects(plan: Plan, *, image: Callable[[], str] | None = None, domain_type: str | None = None) -> list[Effect]:
    """What the change does, each with the libvirt objects that are made anew or removed for it."""
    standing = Standing.of(plan.before)
    if standing.new:
        return []
    return [
        *stack.effects(standing, plan, image, domain_type),
        *machines.effects(standing, plan),
        *ingress.effects(standing, plan),
    ]


def forms(plan: Plan, found: Iterable[Effect], offered: Set[str]) -> Forms:
    """In which form each domain is to be defined.

    Args:
        plan: the stack as its settings plan it now.
        found: its effects.
        offered: the machine types that the libvirt host offers; empty when that is unknown.
    """
    gone = frozenset[str]().union(*(one.replaces for one in found))
    return Forms.of(Standing.of(plan.before), gone, offered)


def _old(before: Mapping[str, Any]) -> dict[str, Row]:
    return {row["name"]: row for row in before.get("machines") or ()}


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
            f"a cluster is installed on {was}: every machine would move, and etcd and all certificates know it there",
            f"write {was} again; another network takes another stack",
        )


def _services(before: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    """The services host by name and address, as the nodes know it."""
    registry, address = str(before.get("registryUrl", "")).removeprefix("https://"), before.get("servicesAddress")
    was, now = registry.partition(".")[0], plan.settings.services
    if was and was != now.name:
        yield Problem(
            "services.name",
            now.name,
            f"the installed cluster fetches every image from {registry}, and no node would find one again",
            f"write {was} again",
        )
    if address and address != str(now.address):
        yield Problem(
            "services.address",
            str(now.address),
            f"the installed cluster's nodes have their name server and the API's load balancer at {address}: all of "
            "them would be lost until each is booted again",
            f"write {address} again",
        )


def _below(standing: Standing, plan: Plan) -> Iterator[Problem]:
    """What all machines, or all data, stand on."""
    mtu, now = standing.outputs(NETWORK, stack.CLUSTER).get("mtu"), plan.settings
    if mtu is not None and int(mtu) != now.network.mtu:
        yield Problem(
            "network.mtu",
            str(now.network.mtu),
            "the cluster network would be made anew under the installed cluster: etcd's members would lose each other, "
            "and the pods' own network keeps the MTU that it was installed with",
            f"write {number(mtu)} again; another MTU takes another stack",
        )
    path = (standing.outputs(POOL, "hypervisor-pool").get("target") or {}).get("path")
    if path and path != str(now.hypervisor.pool_path):
        yield Problem(
            "hypervisor.poolPath",
            str(now.hypervisor.pool_path),
            "every disk of the installed cluster would be destroyed and made anew, etcd's among them",
            f"write {path} again",
        )
    for size in _registry_size(standing, plan):
        yield Problem(
            "services.registryGiB",
            str(now.services.registry_gib),
            "the registry's volume would be made anew and empty: images that nodes need, and the cluster's first "
            "credentials, by which machines join and leave it, would be lost",
            f"write {size} again; docs/operations.md says how the volume grows in place",
        )


def _protected(standing: Standing, plan: Plan) -> Iterator[Problem]:
    """A protected volume is never replaced; the engine would say so half way through."""
    for size in _registry_size(standing, plan) if plan.settings.services.protect_registry else ():
        yield Problem(
            "services.registryGiB",
            str(plan.settings.services.registry_gib),
            "another size takes another volume, and this one is protected with all that is mirrored",
            f"write {size} again; or set services.protectRegistry to false, update, then change the size: "
            "the release is mirrored again",
        )


def _registry_size(standing: Standing, plan: Plan) -> Iterator[int]:
    was = standing.gib(services.DATA)
    if was is not None and was != plan.settings.services.registry_gib:
        yield was


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
        if was and was["role"] == now["role"] and differs("address", was, now):
            yield Problem(
                f"machines.{machine.name}.address",
                now["address"],
                f"it joined the cluster as {was['address']}: its certificates and the load balancer's checks say so",
                f"write {was['address']} again; or take it out, update, and declare it with its new address",
            )


def _kept(name: str, was: Row, now: Row) -> Iterator[Problem]:
    setting = f"machines.{name}"
    if differs("address", was, now):
        yield Problem(
            f"{setting}.address",
            now["address"],
            f"etcd and its certificates know this control plane machine at {was['address']}",
            f"write {was['address']} again",
        )
    if differs("diskGiB", was, now):
        yield Problem(
            f"{setting}.diskGiB",
            str(now["diskGiB"]),
            "another size takes another disk, and the etcd member on this control plane machine's disk would be lost",
            f"write {number(was['diskGiB'])} again, here or in pool {now['pool']}",
        )
