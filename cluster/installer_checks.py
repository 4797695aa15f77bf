"""What the installer refuses of names and networks that are good in themselves.

Owns these rules, which would else be told once the release is mirrored. Does not own the forms of references
(images.py), nor the networks' relations (install_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster import own_names
from cluster.images import Reference
from cluster.settings_problems import Problem, Refused

if TYPE_CHECKING:
    from cluster.settings import Settings

LONGEST_REPOSITORY = 255
# The cluster's DNS takes the tenth address of the network of services.
LEAST_SERVICES = 16
SERVICES_OF_OKD = 255


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """What the installer refuses, or an installation cannot end with."""
    for setting, image in _repositories(settings):
        if not refused.touches(setting):
            yield from _repository(settings, setting, image)
    services = settings.install.service_network
    if services.num_addresses < LEAST_SERVICES and not refused.touches("install.serviceNetwork"):
        harm = (
            f"{services.num_addresses} addresses: the cluster's DNS takes the tenth, and OKD's own services need more"
        )
        yield Problem("install.serviceNetwork", str(services), harm, "choose a /16")


def doubts(settings: Settings) -> Iterator[Problem]:
    """A network that OKD's own services nearly fill."""
    services = settings.install.service_network
    if LEAST_SERVICES <= services.num_addresses < SERVICES_OF_OKD:
        harm = f"{services.num_addresses} addresses, of which OKD's own services and operators take dozens"
        yield Problem("install.serviceNetwork", str(services), harm, "choose a /16; it can never be changed")


def _repositories(settings: Settings) -> Iterator[tuple[str, str]]:
    release = settings.release
    if release.image:
        yield "release.image", release.image
    for number, source in enumerate(release.sources):
        yield f"release.sources[{number}]", source
    for number, image in enumerate(release.additional_images):
        yield f"release.additionalImages[{number}]", image


def _repository(settings: Settings, setting: str, image: str) -> Iterator[Problem]:
    found = Reference.parse(image)
    host = found.registry.partition(":")[0]
    if any(label.startswith("-") or label.endswith("-") for label in host.split(".")):
        harm = "no registry has a name with a hyphen at an end, and the installer refuses it"
        yield Problem(setting, image, harm, "correct the registry's name")
    mirror = f"{settings.services.name}.{own_names.domain(settings)}:5000/{found.path}"
    longest = max(found.repository, mirror, key=len)
    if len(longest) > LONGEST_REPOSITORY:
        harm = f"{len(longest)} characters here or in the mirror registry: the installer takes {LONGEST_REPOSITORY}"
        yield Problem(setting, image, harm, "give a repository with a shorter name")
