"""Relations between machines: their MACs, names, pools and roles.

Owns these cross checks and their harm and fix. Does not own addresses (settings_checks.py).
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster.names import Names, derived_mac
from cluster.settings_problems import Problem, Refused
from cluster.values import LABEL

if TYPE_CHECKING:
    from cluster.settings import Settings

TAKEN_NAMES = {
    "api": "the API's record",
    "api-int": "the API's record inside the cluster",
    "services": "the services host's record",
    "ns": "the name server's record",
    "dns": "the name server's record",
    "apps": "the domain of the ingress wildcard",
    "localhost": "every machine's name for itself: nodes would wait for another",
}
HOST_NAME_LIMIT = 63
ROLES = re.compile(r"machines|pools|machines\.[^.]+(\.pool)?|pools\.[^.]+(\.role)?")  # settings that decide roles


def roles_unsure(refused: Refused) -> bool:
    """Whether the role of some machine hangs on a value that was refused."""
    return any(ROLES.fullmatch(setting) for setting in refused.settings)


def domain(settings: Settings) -> Iterator[Problem]:
    """A search domain with no wildcard directly under it, which would answer for every name that is not there."""
    name, base = settings.cluster.name, settings.cluster.base_domain
    harm = "a wildcard would answer under the cluster's search domain, so that every name that is not there is found"
    if name == "apps":
        yield Problem("cluster.name", name, f"{harm}, if {base} is a cluster's domain", "choose another, e.g. okd")
    elif "apps" in base.split("."):
        outside = base.split(".apps.")[-1].removeprefix("apps.")
        yield Problem("cluster.baseDomain", base, f"inside a cluster's *.apps: {harm}", f"write {outside}")


def macs(settings: Settings) -> Iterator[Problem]:
    """No two network cards with one MAC, the services host's own included."""
    objects = Names(settings.stack)
    users: dict[str, list[str]] = defaultdict(list)
    users[objects.cluster_mac].append("the services host's card on the cluster network")
    users[objects.uplink_mac].append("the services host's card on the uplink")
    for name, machine in settings.machines.items():
        users[machine.mac or derived_mac(settings.stack, name)].append(f"machines.{name}.mac")
    for mac, settings_of in users.items():
        for setting in settings_of[1:]:
            yield Problem(
                setting,
                mac,
                f"also used by {settings_of[0]}: the two would get one lease and one boot profile",
                "give each its own MAC",
            )


def names(settings: Settings) -> Iterator[Problem]:
    """DNS labels, each once, none that the cluster needs for itself, none too long for a host name."""
    domain = f"{settings.cluster.name}.{settings.cluster.base_domain}"
    services = settings.services.name
    for setting, name in (("services.name", services), *((f"machines.{name}", name) for name in settings.machines)):
        if not LABEL.fullmatch(name):
            yield Problem(
                setting,
                name,
                "not a DNS label, so the name server would refuse the record and the node would have no name",
                "use 1 to 63 lower-case letters, digits and hyphens; no hyphen at either end",
            )
        elif name in TAKEN_NAMES and not (setting == "services.name" and name == "services"):
            yield Problem(setting, name, f"collides with {TAKEN_NAMES[name]}", "choose another name")
        elif setting != "services.name" and name == services:
            yield Problem(setting, name, "duplicate: the services host has this name", "choose another name")
        if len(f"{name}.{domain}") > HOST_NAME_LIMIT:
            yield Problem(
                setting,
                f"{name}.{domain}",
                f"longer than {HOST_NAME_LIMIT} characters: Linux would cut the host name and the node would not match "
                "its records",
                "shorten the name, cluster.name or cluster.baseDomain",
            )
    seen: dict[str, str] = {}
    for name in settings.machines:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield Problem(
                f"machines.{name}", name, f"duplicate: DNS does not tell it from {other}", "choose another name"
            )


def roles(settings: Settings) -> Iterator[Problem]:
    """Known pools, a control plane that can keep quorum, one bootstrap machine."""
    members: dict[str, list[str]] = defaultdict(list)
    unknown: list[str] = []
    for name, machine in settings.machines.items():
        pool = settings.pools.get(str(machine.pool))
        if pool is None:
            unknown.append(name)
            near = difflib.get_close_matches(str(machine.pool), settings.pools, 1, 0.5)
            yield Problem(
                f"machines.{name}.pool",
                str(machine.pool),
                "no such machine pool, so the machine has no role and no sizes",
                f"did you mean {near[0]}?"
                if near
                else f"add it under pools, or use one of {', '.join(settings.pools)}",
            )
            continue
        members[pool.role].append(name)
    uncounted = f"; not counted, for want of a known pool: {', '.join(unknown)}" if unknown else ""
    control_plane = members["control-plane"]
    if len(control_plane) not in (1, 3, 5):
        harms = {0: "no control plane: there would be no API and no etcd", 2: "two cannot keep quorum when one is down"}
        yield Problem(
            "machines",
            f"{len(control_plane)} control plane machines ({', '.join(control_plane) or 'none'}{uncounted})",
            harms.get(len(control_plane), "etcd needs an odd number of members, at most five"),
            "declare 1, 3 or 5 machines in a pool of role control-plane",
        )
    if len(members["bootstrap"]) != 1:
        yield Problem(
            "machines",
            f"{len(members['bootstrap'])} bootstrap machines ({', '.join(members['bootstrap']) or 'none'}{uncounted})",
            "exactly one bootstrap machine starts a cluster",
            "declare one machine named bootstrap, or one in a pool of role bootstrap",
        )
