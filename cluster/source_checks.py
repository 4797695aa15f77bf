"""Registries that images are mirrored from: which cannot be one.

Owns these checks, by what the references say. Does not own whether a registry answers: the mirroring tells that.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cluster.images import Reference
from cluster.settings_problems import Problem, Refused

if TYPE_CHECKING:
    from cluster.settings import Settings

PORT = 5000
ELSEWHERE = "name the registry that the images come from; the stack's own is filled from it"


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """Every reference to a registry from which nothing can be mirrored."""
    release = settings.release
    own = _own(settings)
    given = {} if refused.touches("release.image") else {"release.image": str(release.image)}
    given |= {f"release.sources[{number}]": one for number, one in enumerate(release.sources)}
    given |= {f"release.additionalImages[{number}]": one for number, one in enumerate(release.additional_images)}
    given |= {
        f"release.operatorCatalogs[{number}].catalog": one.catalog
        for number, one in enumerate(release.operator_catalogs)
    }
    told = set()
    for setting, value in given.items():
        registry = Reference.parse(value).registry
        host, _, port = registry.partition(":")
        # The sources follow from the image, where they are not given.
        if registry in told and setting.startswith("release.sources"):
            continue
        if _is_loopback(host):
            told.add(registry)
            harm = f"{host} is the services host itself, which mirrors, and where no such registry is"
            yield Problem(setting, value, harm, "name the registry as the services host reaches it")
        elif host in own and port == str(PORT):
            told.add(registry)
            harm = "the stack's own mirror registry, which is empty until it has been filled from another"
            yield Problem(setting, value, harm, ELSEWHERE)


def _own(settings: Settings) -> set[str]:
    """The names and addresses of the services host, where the stack's mirror registry is."""
    name, cluster = settings.services.name, settings.cluster
    domain = f"{cluster.name}.{cluster.base_domain}"
    names = {f"{name}.{domain}", f"www.{name}.{domain}"}
    return names | {str(settings.services.address), str(settings.uplink.address)}


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified
