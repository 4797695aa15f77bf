"""Relations of the uplink: its network, the services host's place in it, and the servers it is told.

Owns these cross checks, and the network that an uplink of our own gets when none is given. Does not own the networks
inside of the cluster (install_checks.py) nor what the libvirt host has already (preflight.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from cluster.network_checks import reserved
from cluster.settings_problems import Problem, Refused
from cluster.values import UNSET, UNSET_NETWORK

if TYPE_CHECKING:
    from cluster.settings import Settings

LIBVIRT_DEFAULT = IPv4Network("192.168.122.0/24")
# Where uplink networks are derived in, the second block for a stack whose own networks fill the first.
BLOCKS = ("192.168.{}.0/24", "172.29.{}.0/24")
FIRST, COUNT = 64, 128


def derived(stack: str, taken: Sequence[IPv4Network]) -> IPv4Network:
    """A network that belongs to the stack by its name; the next free one where it overlaps `taken`."""
    start = hashlib.sha256(f"okd-libvirt/{stack}/uplink".encode()).digest()[0] % COUNT
    for block in BLOCKS:
        for step in range(COUNT):
            network = IPv4Network(block.format(FIRST + (start + step) % COUNT))
            if not any(network.overlaps(other) for other in (LIBVIRT_DEFAULT, *taken)):
                return network
    return UNSET_NETWORK


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """Every relation that does not hold."""
    yield from _exposed(settings)
    # A refused bridge leaves open whose the network is.
    if refused.touches("uplink.cidr", "uplink.bridge"):
        return
    uplink = settings.uplink
    yield from _missing(settings)
    if uplink.cidr == UNSET_NETWORK:
        return
    yield from reserved("uplink.cidr", uplink.cidr)
    yield from _places(settings)
    yield from _servers(settings, refused)
    if uplink.bridge is None:
        yield from _own_network(settings)
    if not refused.touches("network.cidr") and uplink.cidr.overlaps(settings.network.cidr):
        harm = f"overlaps the cluster network {settings.network.cidr}: the services host could not tell the two sides "
        fix = "choose another network for one of them"
        yield Problem("uplink.cidr", str(uplink.cidr), f"{harm}apart", fix)


def _missing(settings: Settings) -> Iterator[Problem]:
    uplink = settings.uplink
    if uplink.cidr == UNSET_NETWORK and uplink.bridge is None:
        harm = "every network that could be derived for it overlaps another network of the stack"
        yield Problem("uplink.cidr", "", harm, "add a private network")
    if uplink.bridge is None:
        return
    for key, absent, what in (
        ("cidr", uplink.cidr == UNSET_NETWORK, "the network that the bridge leads to"),
        ("address", uplink.address == UNSET, "an address there that nobody else has"),
        ("gateway", uplink.gateway == UNSET, "the router of that network"),
    ):
        if absent:
            harm = f"the bridge {uplink.bridge} leads to a network that is not ours, where nothing can be guessed"
            yield Problem(f"uplink.{key}", "", harm, f"add uplink.{key}, {what}")


def _places(settings: Settings) -> Iterator[Problem]:
    uplink = settings.uplink
    edges = (uplink.cidr.network_address, uplink.cidr.broadcast_address)
    for setting, address in (("uplink.address", uplink.address), ("uplink.gateway", uplink.gateway)):
        if address != UNSET and (address not in uplink.cidr or address in edges):
            yield Problem(
                setting,
                str(address),
                f"not a usable address of the uplink {uplink.cidr}: the services host would not be reachable",
                f"choose one inside {uplink.cidr}",
            )
    if uplink.address == uplink.gateway != UNSET:
        harm, fix = "also the gateway's address: both would answer for it", "choose another"
        yield Problem("uplink.address", str(uplink.address), harm, fix)


def _own_network(settings: Settings) -> Iterator[Problem]:
    uplink = settings.uplink
    if uplink.cidr.overlaps(LIBVIRT_DEFAULT):
        yield Problem(
            "uplink.cidr",
            str(uplink.cidr),
            f"overlaps {LIBVIRT_DEFAULT}, the network `default` of nearly every libvirt host: both cannot run",
            "leave it out to have one derived from the stack's name, or choose another",
        )
    host = uplink.cidr[1] if uplink.cidr.num_addresses > 2 else UNSET
    edges = (uplink.cidr.network_address, uplink.cidr.broadcast_address)
    if uplink.gateway != host and uplink.gateway in uplink.cidr and uplink.gateway not in edges:
        harm = f"libvirt gives itself {host} in a network that it makes, so nobody would route there"
        yield Problem("uplink.gateway", str(uplink.gateway), harm, "leave it out, or name an existing bridge")
    for number, resolver in enumerate(uplink.resolvers):
        if resolver == uplink.gateway:
            harm = "the gateway of a network that is made without a name server: no name would be found"
            fix = "give the site's own name servers"
            yield Problem(f"uplink.resolvers[{number}]", str(resolver), harm, fix)


def _servers(settings: Settings, refused: Refused) -> Iterator[Problem]:
    uplink = settings.uplink
    own = {settings.services.address, uplink.address, UNSET}
    asked = {f"uplink.resolvers[{number}]": str(one) for number, one in enumerate(uplink.resolvers)}
    asked |= {f"uplink.timeServers[{number}]": one for number, one in enumerate(uplink.time_servers)}
    seen: dict[tuple[str, str], str] = {}
    for setting, server in asked.items():
        address = IPv4Address(server) if server.replace(".", "").isdigit() else None
        if address is not None and (address in own or address.is_loopback):
            harm = "the services host itself: it would ask itself for ever"
            yield Problem(setting, server, harm, "give a server of the site, or leave it out")
        if seen.setdefault((setting.partition("[")[0], server), setting) != setting:
            yield Problem(setting, server, "listed twice: it could not stand in for itself", "remove it")
    named = [server for server in uplink.time_servers if not server.replace(".", "").isdigit()]
    if named and not uplink.resolvers and not refused.touches("uplink.resolvers"):
        yield Problem(
            "uplink.timeServers",
            ", ".join(named),
            "names, and the services host has no resolver to look them up: its clock would never be set",
            "give addresses, or add uplink.resolvers",
        )


def _exposed(settings: Settings) -> Iterator[Problem]:
    ports = settings.uplink.expose
    for number, port in enumerate(ports):
        if port in ports[:number]:
            yield Problem(f"uplink.expose[{number}]", str(port), "listed twice", "remove it")
