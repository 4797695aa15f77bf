"""Names inside of the cluster's own domain, where this stack's name server alone answers.

Owns which names lead to the services host, and what a name there is answered with. Does not own the zones (dns.py), nor
who may have such a name (domain_checks.py, proxy_checks.py).
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.settings import Settings

APPS = "apps"


def at_services(services: str) -> tuple[str, ...]:
    """The names, under the cluster's domain, of what the services host serves; `services` is its own."""
    # The registry's certificate names `www.` of the services host too.
    return ("api", "api-int", f"*.{APPS}", services, f"www.{services}", "ns", "dns")


def domain(settings: Settings) -> str:
    """The cluster's domain."""
    return f"{settings.cluster.name}.{settings.cluster.base_domain}"


def is_inside(settings: Settings, host: str) -> bool:
    """Whether a host's name is the cluster's domain or lies in it."""
    return f".{_plain(host)}".endswith(f".{domain(settings)}")


def answered(settings: Settings, host: str) -> IPv4Address | None:
    """What a name inside is answered with; None when there is no such record."""
    name = _plain(host).removesuffix(domain(settings)).removesuffix(".")
    if name in at_services(settings.services.name) or name.endswith(f".{APPS}"):
        return settings.services.address
    machine = settings.machines.get(name)
    return machine.address if machine else None


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
