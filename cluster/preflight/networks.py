"""Bridges, subnets and MACs of the stack beside those that the libvirt host and this machine have already.

Owns collisions on the wire. Does not own objects under the stack's own names (objects.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster.preflight.facts import Link, Network, Nic
from cluster.preflight.look import Finding, Look, refuse, warn

ETHERNET_MTU = 1500


def findings(look: Look) -> Iterator[Finding]:
    """What would collide, and what is wrong with a bridge that the settings name."""
    yield from _bridges(look)
    yield from _macs(look)
    if look.plan.settings.uplink.bridge is not None:
        yield from _named_bridge(look)
    elif _uplink_is_new(look):
        yield from _networks_on_uplink(look)
        yield from _routes_on_uplink(look)
    if look.plan.names.cluster_network not in look.held.networks:
        yield from _routes_on_cluster(look)


def _uplink_is_new(look: Look) -> bool:
    held = look.held.addresses.get(look.plan.names.uplink_network)
    return held != (str(look.plan.settings.uplink.cidr),)


def _own(look: Look) -> dict[str, str]:
    """The stack's own networks by the bridges that they have."""
    names = look.plan.names
    own = {names.cluster_bridge: names.cluster_network}
    if look.plan.settings.uplink.bridge is None:
        own[names.uplink_bridge] = names.uplink_network
    return own


def _bridges(look: Look) -> Iterator[Finding]:
    own, networks = _own(look), look.facts.networks
    for one in networks or ():
        if one.bridge in own and one.name != own[one.bridge]:
            yield refuse(
                f"bridge {one.bridge}",
                "",
                f"libvirt's network {one.name} has the bridge that {own[one.bridge]} is to have",
                f"give that network another bridge ({look.virsh} net-edit {one.name}), or the stack another name",
            )
    used = {one.bridge for one in networks or () if one.active}
    for link in _links(look):
        if networks is not None and link.name in own and link.name not in used:
            yield refuse(
                f"bridge {link.name}",
                "",
                "this machine has an interface of this name that no running network of libvirt has made: "
                f"{own[link.name]} could not start",
                f"a libvirtd that was killed may have left it: ip link delete {link.name}",
            )


def _links(look: Look) -> tuple[Link, ...]:
    return (look.facts.here.links if look.facts.here else None) or ()


def _macs(look: Look) -> Iterator[Finding]:
    names, uplink = look.plan.names, look.plan.settings.uplink
    cluster = {machine.mac: f"machines.{machine.name}.mac" for machine in look.plan.machines}
    cluster[names.cluster_mac] = "services host's cluster port"
    mine = {one.uuid for one in look.held.domains.values()}
    planned = {names.domain(machine.name) for machine in look.plan.machines}
    planned.add(names.domain(look.plan.settings.services.name))
    for domain in look.facts.domains or ():
        if domain.uuid in mine or domain.name in planned:
            continue  # the stack's own, or refused by name already
        for nic in domain.nics:
            where = {names.cluster_network, names.cluster_bridge}
            uplinks = {names.uplink_network, names.uplink_bridge} if uplink.bridge is None else {uplink.bridge}
            if nic.mac in cluster and _on(nic, where, look):
                yield _taken(cluster[nic.mac], nic.mac, domain.name)
            elif nic.mac == names.uplink_mac and _on(nic, uplinks, look):
                yield _taken("services host's uplink port", nic.mac, domain.name)


def _on(nic: Nic, where: set[str], look: Look) -> bool:
    """Whether an interface is on one of these networks or bridges; a libvirt network may stand for a bridge."""
    bridges = {one.name: one.bridge for one in look.facts.networks or ()}
    return bool({nic.network, nic.bridge, bridges.get(nic.network or "")} & where)


def _taken(setting: str, mac: str, domain: str) -> Finding:
    return refuse(
        setting,
        mac,
        f"domain {domain}, which is not the stack's, has this MAC on the same network: neither could be reached",
        "write another MAC, or take that domain off the network",
    )


def _networks_on_uplink(look: Look) -> Iterator[Finding]:
    cidr, names = look.plan.settings.uplink.cidr, look.plan.names
    for one in look.facts.networks or ():
        if one.name == names.uplink_network or not any(cidr.overlaps(subnet) for subnet in one.subnets):
            continue
        say, harm = (
            (refuse, "libvirt refuses to start a second one there")
            if one.active
            else (warn, "once it is started, one of the two cannot be")
        )
        yield say(
            "uplink.cidr",
            str(cidr),
            f"libvirt's network {one.name} ({_subnets(one)}) is on these addresses: {harm}",
            "write a network that nothing else uses",
        )


def _subnets(network: Network) -> str:
    return ", ".join(str(one) for one in network.subnets)


def _routes_on_uplink(look: Look) -> Iterator[Finding]:
    cidr, names = look.plan.settings.uplink.cidr, look.plan.names
    bridges = {one.bridge for one in look.facts.networks or ()} | {names.uplink_bridge}
    for one in (look.facts.here.routes if look.facts.here else None) or ():
        if one.interface in bridges or not cidr.overlaps(one.network):
            continue  # libvirt's own networks are named as such
        if one.network.supernet_of(cidr) and one.network != cidr:
            say, harm = warn, "what is there behind it is out of this machine's reach while the stack stands"
        else:
            say, harm = refuse, "libvirt refuses a network there, or its machines could not be reached"
        yield say(
            "uplink.cidr",
            str(cidr),
            f"this machine has a route to {one.network} on {one.interface}: {harm}",
            "write a network that nothing else uses",
        )


def _routes_on_cluster(look: Look) -> Iterator[Finding]:
    """The hypervisor has no address on the cluster network, but the services host would look for all of them there."""
    cidr, bridges = look.plan.network, {one.bridge for one in look.facts.networks or ()}
    for one in (look.facts.here.routes if look.facts.here else None) or ():
        if one.direct and one.interface not in bridges and cidr.overlaps(one.network):
            yield warn(
                "network.cidr",
                str(cidr),
                f"this machine is on {one.network} ({one.interface}): the services host could not reach what is there, "
                "nor answer it",
                "write a network that nothing else uses",
            )


def _named_bridge(look: Look) -> Iterator[Finding]:
    uplink = look.plan.settings.uplink
    setting, name = "uplink.bridge", str(uplink.bridge)
    if look.facts.links is not None and not any(_is_link(name, one) for one in look.facts.links):
        yield refuse(setting, name, "the libvirt host has no such interface", "make the bridge there, or name another")
    if look.facts.here is None:
        return
    if look.facts.here.links is not None:
        link = next((one for one in look.facts.here.links if one.name == name), None)
        if link is None or not link.bridge:
            known = ", ".join(one.name for one in look.facts.here.links if one.bridge) or "none"
            what = "this machine has no such interface" if link is None else "it is an interface, but no Linux bridge"
            yield refuse(
                setting,
                name,
                f"{what}: the services host's card could not be plugged in",
                f"make the bridge, or name another one (there are: {known}), or leave the setting away for NAT",
            )
            return
        if link.mtu < ETHERNET_MTU:
            yield warn(
                setting,
                name,
                f"its MTU is {link.mtu}, and the services host's card sends packets of {ETHERNET_MTU}: "
                "the larger ones are lost",
                f"ip link set {name} mtu {ETHERNET_MTU}, and the same on what is plugged into it",
            )
    routes = look.facts.here.routes
    if routes is not None and not any(one.network.overlaps(uplink.cidr) for one in routes):
        yield warn(
            "uplink.cidr",
            str(uplink.cidr),
            f"this machine has no address or route there, on {name} or elsewhere: unless its default router leads "
            f"there, it cannot reach the services host at {uplink.address}",
            f"write the network that {name} is on, or give {name} an address of it",
        )
    if look.facts.here.addresses is not None and uplink.address in look.facts.here.addresses:
        yield refuse(
            "uplink.address",
            str(uplink.address),
            "it is this machine's own address: the services host could not have it",
            f"write an address of {uplink.cidr} that nobody has",
        )


def _is_link(name: str, device: str) -> bool:
    # libvirt's name of a device: net_ENS3_52_54_00_…, whatever is no letter or digit written as an underscore.
    written = "".join(one if one.isalnum() and one.isascii() else "_" for one in name)
    return device.startswith(f"net_{written}_")
