"""The proxy of nodes and operators: the installer's rules for it, and that machines can reach it.

The cluster network is isolated: its name server knows the cluster's own names alone, and the services host, which is
the machines' router unless the settings name another, forwards nothing. Owns these checks and their harm and fix. Does
not own the forms of URLs and of what is reached without the proxy (install_settings.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cluster import own_names
from cluster.network_checks import RESERVED
from cluster.settings_problems import Problem, Refused

if TYPE_CHECKING:
    from cluster.settings import Settings


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """What the installer refuses."""
    install, proxy = settings.install, settings.install.proxy
    if proxy is None or refused.touches("install.proxy"):
        return
    if proxy.http is None and proxy.https is None:
        yield Problem("install.proxy", "", "no proxy in it: the installer refuses that", "add http or https")
    if proxy.http is not None and not proxy.http.startswith("http://"):
        harm = "the installer takes a proxy for plain HTTP by http:// only"
        yield Problem("install.proxy.http", proxy.http, harm, "write http://…")
    if "*" in proxy.no_proxy and len(proxy.no_proxy) > 1:
        harm = "* is everything already, and the installer takes it only alone"
        yield Problem("install.proxy.noProxy", ", ".join(proxy.no_proxy), harm, "leave out * or all others")
    if refused.touches("install.clusterNetwork", "install.serviceNetwork"):
        return
    for key, url, host in _hosts(settings):
        address = _address(host)
        for taken, what in ((install.cluster_network, "pods"), (install.service_network, "cluster services")):
            if address is not None and address in taken:
                harm = f"in {taken}, which OKD uses for {what}: no node would reach the proxy"
                yield Problem(f"install.proxy.{key}", url, harm, "give the address of a real proxy")


def reach(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """What no machine could reach. Only an installation reads it."""
    if refused.touches("install.proxy", "network.cidr", "network.router", "services.address", "cluster"):
        return
    for key, url, host in _hosts(settings):
        harm = _unknown(settings, host) or _unreachable(settings, host)
        if harm and not _may_be_known(settings, host):
            yield Problem(f"install.proxy.{key}", url, harm, _fix(settings))


def doubts(settings: Settings) -> Iterator[Problem]:
    """Names that the user's own manifests may make known, and what matches nothing."""
    for key, url, host in _hosts(settings):
        if _may_be_known(settings, host):
            harm = f"{_unknown(settings, host)}; only manifests of your own could tell them its address"
            yield Problem(f"install.proxy.{key}", url, harm, "give the proxy's address")
    proxy = settings.install.proxy
    for number, one in enumerate(proxy.no_proxy if proxy else ()):
        if re.fullmatch(r"[0-9.]+", one) and _address(one) is None:
            harm = "neither an address nor a network, and no host has a name of numbers alone: it matches nothing"
            yield Problem(f"install.proxy.noProxy[{number}]", one, harm, "write 10.20.0.8, or 10.20.0.0/16")


def _hosts(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Each proxy's key, URL and host."""
    proxy = settings.install.proxy
    for key, url in (("http", proxy.http), ("https", proxy.https)) if proxy else ():
        if url is not None and (host := urlsplit(url).hostname):
            yield key, url, host


def _address(host: str) -> IPv4Address | None:
    try:
        return IPv4Address(host)
    except ValueError:
        return None


def _unknown(settings: Settings, host: str) -> str | None:
    """Why machines find no address for a name."""
    domain = own_names.domain(settings)
    if _address(host) is not None:
        return None
    if not own_names.is_inside(settings, host):
        return f"{host} is a name outside of {domain}, and the machines' name server answers for that alone"
    if own_names.answered(settings, host) is None:
        return f"{host} lies in {domain}, where this stack's name server alone answers: it has no such record"
    return None


def _may_be_known(settings: Settings, host: str) -> bool:
    outside = _address(host) is None and not own_names.is_inside(settings, host)
    return outside and _leads_out(settings) and settings.install.manifests is not None


def _leads_out(settings: Settings) -> bool:
    return settings.network.router != settings.services.address


def _unreachable(settings: Settings, host: str) -> str | None:
    """Why machines reach no proxy at an address, or at that of a record."""
    address = _address(host) or own_names.answered(settings, host)
    assert address is not None
    cidr, install = settings.network.cidr, settings.install
    if address in install.cluster_network or address in install.service_network:
        return None  # told already
    for taken, use in RESERVED.items():
        if address in taken:
            return f"{address} is in {taken}, {use}: no machine reaches a proxy there"
    if address in (settings.services.address, settings.uplink.address):
        return f"{address} is the services host, which runs no proxy and refuses all but its own services"
    machine = next((name for name, one in settings.machines.items() if one.address == address), None)
    if machine is not None:
        return f"{address} is {machine}, which runs no proxy while the cluster is installed"
    if address in (cidr.network_address, cidr.broadcast_address):
        return f"{address} is the network or broadcast address of {cidr}: no proxy can have it"
    if address not in cidr and not _leads_out(settings):
        return f"outside of the cluster network {cidr}, and the machines' router, the services host, forwards nothing"
    return None


def _fix(settings: Settings) -> str:
    return (
        f"give the address of a proxy inside of {settings.network.cidr}, or of one that another network.router leads "
        "to; or leave the proxy out: the installation needs none"
    )
