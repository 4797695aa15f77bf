"""What is allowed and yet seldom meant.

Owns these doubts, which a preview shows as warnings. Does not own what is refused (*_checks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cluster import image_checks
from cluster.settings_problems import Problem

if TYPE_CHECKING:
    from cluster.settings import Settings

# A node takes 250 pods, which need an address each: those of a /24 just do.
LONGEST_HOST_PREFIX = 24


def check(settings: Settings) -> Iterator[Problem]:
    """Every doubt."""
    yield from _domain(settings)
    yield from _public(settings)
    yield from image_checks.doubts(settings)
    install = settings.install
    if install.host_prefix > LONGEST_HOST_PREFIX:
        addresses = 2 ** (32 - install.host_prefix) - 3
        harm = f"gives each node {addresses} addresses for pods, fewer than the 250 pods that it takes"
        yield Problem("install.hostPrefix", str(install.host_prefix), harm, "give 23, if the network has the room")
    yield from _proxy(settings)


def in_plain_text(settings: Settings, encrypted: Callable[[str], bool]) -> Iterator[Problem]:
    """Secrets that the stack's file holds unencrypted; `encrypted` tells it of a section by its key."""
    if settings.release.pull_secret is not None and not encrypted("release"):
        yield Problem(
            "release.pullSecret",
            "(not shown)",
            "in plain text: whoever reads the stack's file or its history has it",
            "remove it, then: pulumi config set --secret --path okd-libvirt:release.pullSecret "
            '"$(cat pull-secret.json)"; and change the password, if others could read it',
        )


def _domain(settings: Settings) -> Iterator[Problem]:
    name, base = settings.cluster.name, settings.cluster.base_domain
    if base.split(".")[0] == name and "." in base:
        harm = f"the cluster's domain is {name}.{base}: cluster.name comes before it anyway"
        yield Problem("cluster.baseDomain", base, harm, f"write {base.partition('.')[2]}, unless this is meant")
    if base.split(".")[-1] == "local":
        harm = "domains under .local belong to multicast DNS: some systems never ask a name server for them"
        yield Problem("cluster.baseDomain", base, harm, "choose a domain of your own, or one under .internal")


def _public(settings: Settings) -> Iterator[Problem]:
    own = {"network.cidr": settings.network.cidr}
    if settings.uplink.bridge is None:
        own["uplink.cidr"] = settings.uplink.cidr
    for setting, network in own.items():
        if network.is_global:
            harm = "public addresses: whoever has them in the Internet could not be reached from the services host"
            yield Problem(setting, str(network), harm, "choose a network inside 10/8, 172.16/12 or 192.168/16")


def _proxy(settings: Settings) -> Iterator[Problem]:
    proxy, domain = settings.install.proxy, f"{settings.cluster.name}.{settings.cluster.base_domain}"
    for key, url in (("http", proxy.http), ("https", proxy.https)) if proxy else ():
        host = urlsplit(url or "").hostname
        if host is None or host.endswith(f".{domain}"):
            continue
        try:
            IPv4Address(host)
        except ValueError:
            harm = f"{host} is a name outside {domain}, and the cluster's name server answers for that alone"
            yield Problem(f"install.proxy.{key}", str(url), harm, "give the proxy's address")
