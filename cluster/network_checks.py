"""Relations of the cluster network: its size, its MTU, and the addresses inside it.

Owns these cross checks and their harm and fix. Does not own the uplink (uplink_checks.py) nor the networks inside of
the cluster (install_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from cluster.settings_problems import Problem, Refused
from cluster.values import UNSET

if TYPE_CHECKING:
    from cluster.settings import Settings

# What no network of ours can be: every system treats these addresses its own way.
RESERVED = {
    IPv4Network("0.0.0.0/8"): "addresses that mean no host in particular",
    IPv4Network("127.0.0.0/8"): "each machine's own loopback",
    IPv4Network("169.254.0.0/16"): "link-local addresses, which no router forwards",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved addresses, which Linux does not route",
}
# OVN-Kubernetes tunnels the pods' packets by Geneve, and IPv6 asks for 1280 bytes at least, as does many a program.
GENEVE_BYTES, SMALLEST_POD_MTU = 100, 1280
LARGEST_NETWORK = 16


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """Every relation that does not hold."""
    yield from _users(settings)
    yield from _mtu(settings)
    if not refused.touches("network.cidr"):
        cidr = settings.network.cidr
        unfit = [*_large(cidr), *reserved("network.cidr", cidr)]
        yield from unfit[:1]
        yield from _size(settings, cidr)
        if not unfit:
            yield from _places(settings, cidr)


def _large(cidr: IPv4Network) -> Iterator[Problem]:
    if cidr.prefixlen < LARGEST_NETWORK:
        yield Problem(
            "network.cidr",
            str(cidr),
            "too large: the reverse zones of more than 65536 addresses would have to be served",
            f"choose a prefix of /{LARGEST_NETWORK} or longer",
        )


def reserved(setting: str, network: IPv4Network) -> Iterator[Problem]:
    """What a network has in common with addresses that have a meaning of their own."""
    for taken, use in RESERVED.items():
        if network.overlaps(taken):
            fix = "choose a private network, e.g. 192.168.200.0/24"
            yield Problem(setting, str(network), f"overlaps {taken}, {use}: nothing there could be reached", fix)


def _mtu(settings: Settings) -> Iterator[Problem]:
    mtu = settings.network.mtu
    if mtu - GENEVE_BYTES < SMALLEST_POD_MTU:
        yield Problem(
            "network.mtu",
            str(mtu),
            f"leaves pods {max(mtu - GENEVE_BYTES, 0)} bytes once the overlay has taken its {GENEVE_BYTES}, "
            f"and less than {SMALLEST_POD_MTU} breaks connections",
            f"give at least {SMALLEST_POD_MTU + GENEVE_BYTES}; 1500 is usual",
        )


def _size(settings: Settings, cidr: IPv4Network) -> Iterator[Problem]:
    apart = settings.network.router != settings.services.address
    needed = len(settings.machines) + 2 + apart
    usable = max(cidr.num_addresses - 2, 0)
    if usable < needed:
        others = "the router, one for the smoke check" if apart else "one for the smoke check"
        yield Problem(
            "network.cidr",
            str(cidr),
            f"too small: {usable} usable addresses for {needed} (services host, {len(settings.machines)} machines, "
            f"{others})",
            f"choose a prefix of /{32 - (needed + 1).bit_length()} or shorter",
        )


def _placed(settings: Settings) -> dict[str, IPv4Address]:
    placed = {"services.address": settings.services.address}
    router = settings.network.router
    if router is not None and router != settings.services.address:
        placed["network.router"] = router
    return placed | {f"machines.{name}.address": machine.address for name, machine in settings.machines.items()}


def _places(settings: Settings, cidr: IPv4Network) -> Iterator[Problem]:
    edges = (cidr.network_address, cidr.broadcast_address)
    placed = _placed(settings)
    given = [address for address in placed.values() if address != UNSET]
    if len(given) > 1 and not any(address in cidr for address in given):
        harm = "none of the addresses of services host and machines lies in it"
        meant = IPv4Network(f"{given[0]}/24", strict=False)
        yield Problem("network.cidr", str(cidr), harm, f"write the network that they are in, perhaps {meant}")
        return
    for setting, address in placed.items():
        if address == UNSET:
            harm = "without an address there is no lease and no record"
            yield Problem(setting, "", harm, f"add one inside {cidr}")
        elif address not in cidr:
            inside = (
                f"choose one between {edges[0] + 1} and {edges[1] - 1}" if cidr.prefixlen < 31 else "widen the network"
            )
            harm = f"outside the cluster network {cidr}: nothing there could reach it"
            yield Problem(setting, str(address), harm, inside)
        elif address in edges:
            kind = "network" if address == edges[0] else "broadcast"
            yield Problem(
                setting, str(address), f"the {kind} address of {cidr}: no machine can have it", "choose another"
            )


def _users(settings: Settings) -> Iterator[Problem]:
    users: dict[IPv4Address, str] = {}
    for setting, address in _placed(settings).items():
        first = users.setdefault(address, setting)
        if first != setting and address != UNSET:
            harm = f"also used by {first}: both would answer for it and connections would break at random"
            yield Problem(setting, str(address), harm, "give each its own address")
