"""Relations between settings: what is well-formed alone but cannot work together.

Owns the cross checks and their harm and fix. Does not own the form of single values (values.py). Every check reports
all it finds and leaves out what was already reported as malformed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import install_checks, machine_checks, release_checks, size_checks
from cluster.settings_problems import Problem
from cluster.values import UNSET

if TYPE_CHECKING:
    from cluster.settings import Settings

ROLES = re.compile(r"machines|pools|machines\.[^.]+(\.pool)?|pools\.[^.]+(\.role)?")  # settings that decide roles


@dataclass(frozen=True)
class Found:
    """What does not hold, by what becomes of it."""

    refused: tuple[Problem, ...]
    warned: tuple[Problem, ...]


def check(settings: Settings, reported: Sequence[str], directory: Path | None) -> Found:
    """Every relation that does not hold; `reported` names settings whose value was refused and replaced by a default.

    What is said about a replaced value, or follows from it, is not true of the file and is left out. `directory` is
    where relative paths of files on this machine start; None leaves these alone.
    """
    refused = set(reported)
    network = not refused & {"network", "network.cidr"}
    uplink = not refused & {"uplink", "uplink.cidr"}
    found = [*machine_checks.macs(settings), *machine_checks.names(settings), *_address_users(settings)]
    if network:
        found += [*_network(settings), *_address_places(settings)]
    if uplink:
        found += _uplink(settings)
        if not any(setting.startswith("uplink.resolvers") for setting in refused):
            found += _time_servers(settings)
        if network:
            found += _overlap(settings)
    if not any(setting.startswith("install") for setting in refused):
        found += install_checks.networks(settings, cluster=network, uplink=uplink)
    if not any(setting.startswith(("release", "bootImage")) for setting in refused):
        found += release_checks.check(settings, directory)
    if not any(ROLES.fullmatch(setting) for setting in refused):
        found += machine_checks.roles(settings)
        if not any(setting.startswith(("release", "install")) for setting in refused):
            found += install_checks.check(settings, directory)
    doubtful: list[Problem] = []
    sound = all(str(machine.pool) in settings.pools for machine in settings.machines.values())
    if sound and not any(ROLES.fullmatch(setting) or setting.startswith("checks") for setting in refused):
        sizes, severity = size_checks.check(settings), settings.checks.minimum_sizes
        if severity != "ignore":
            (found if severity == "refuse" else doubtful).extend(sizes)
    refusals, warnings = (
        tuple(problem for problem in problems if not any(_about(problem.setting, setting) for setting in refused))
        for problems in (found, doubtful)
    )
    return Found(refusals, warnings)


def _about(setting: str, refused: str) -> bool:
    return setting == refused or setting.startswith((f"{refused}.", f"{refused}["))


def _network(settings: Settings) -> Iterator[Problem]:
    cidr = settings.network.cidr
    needed = len(settings.machines) + 2
    usable = max(cidr.num_addresses - 2, 0)
    if usable < needed:
        yield Problem(
            "network.cidr",
            str(cidr),
            f"too small: {usable} usable addresses for {needed} (services host, {len(settings.machines)} machines, "
            "one for the smoke check)",
            f"choose a prefix of /{32 - (needed + 1).bit_length()} or shorter",
        )
    if cidr.prefixlen < 16:
        yield Problem(
            "network.cidr",
            str(cidr),
            "too large: the reverse zones of more than 65536 addresses would have to be served",
            "choose a prefix of /16 or longer",
        )


def _placed(settings: Settings) -> dict[str, IPv4Address]:
    placed = {"services.address": settings.services.address}
    router = settings.network.router
    if router is not None and router != settings.services.address:
        placed["network.router"] = router
    return placed | {f"machines.{name}.address": machine.address for name, machine in settings.machines.items()}


def _address_places(settings: Settings) -> Iterator[Problem]:
    cidr = settings.network.cidr
    edges = (cidr.network_address, cidr.broadcast_address)
    for setting, address in _placed(settings).items():
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


def _address_users(settings: Settings) -> Iterator[Problem]:
    users: dict[IPv4Address, str] = {}
    for setting, address in _placed(settings).items():
        first = users.setdefault(address, setting)
        if first != setting and address != UNSET:
            harm = f"also used by {first}: both would answer for it and connections would break at random"
            yield Problem(setting, str(address), harm, "give each its own address")


def _overlap(settings: Settings) -> Iterator[Problem]:
    uplink, cidr = settings.uplink.cidr, settings.network.cidr
    if uplink.overlaps(cidr):
        harm = f"overlaps the cluster network {cidr}: the services host could not tell the two sides apart"
        yield Problem("uplink.cidr", str(uplink), harm, "choose another network for one of them")


def _uplink(settings: Settings) -> Iterator[Problem]:
    uplink = settings.uplink
    edges = (uplink.cidr.network_address, uplink.cidr.broadcast_address)
    for setting, address in (("uplink.address", uplink.address), ("uplink.gateway", uplink.gateway)):
        if address not in uplink.cidr or address in edges:
            yield Problem(
                setting,
                str(address),
                f"not a usable address of the uplink {uplink.cidr}: the services host would not be reachable",
                f"choose one inside {uplink.cidr}",
            )
    if uplink.address == uplink.gateway:
        yield Problem(
            "uplink.address",
            str(uplink.address),
            "also the gateway's address: both would answer for it",
            "choose another",
        )


def _time_servers(settings: Settings) -> Iterator[Problem]:
    uplink = settings.uplink
    named = [server for server in uplink.time_servers if not server.replace(".", "").isdigit()]
    if named and not uplink.resolvers:
        yield Problem(
            "uplink.timeServers",
            ", ".join(named),
            "names, and the services host has no resolver to look them up: its clock would never be set",
            "give addresses, or add uplink.resolvers",
        )
