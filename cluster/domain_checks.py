"""Names that are answered by somebody else than the settings mean.

Owns which domains cannot be a cluster's, since nodes or pods never ask its name server for them, and that nothing which
is asked for lies inside of the cluster's own, where that name server denies it. The services host itself resolves
through it too. Does not own the forms of names (values.py), nor the proxy (proxy_checks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from cluster import own_names
from cluster.images import Reference
from cluster.settings_problems import Problem, Refused, shown

if TYPE_CHECKING:
    from cluster.settings import Settings

# Domains that are no business of a name server, or another's; of two that fit, the first counts. `test` and `example`
# are resolved like any other, and home.arpa (RFC 8375) is for domains such as this.
ELSEWHERE = {
    "cluster.local": "Kubernetes' own: the name server that every pod asks answers for it alone, so no pod would find "
    "the API, the ingress or the mirror registry",
    "svc": "Kubernetes services': pods look for them inside of the cluster first",
    "local": "multicast DNS's (RFC 6762): systems that speak it, workstations and some images of containers among "
    "them, never ask a name server for them",
    "localhost": "each machine's own (RFC 6761): they lead to its loopback, whatever a name server says",
    "localhost.localdomain": "each machine's own: systemd-resolved and others answer with its loopback",
    "invalid": "names that exist nowhere (RFC 6761): systemd-resolved says so without asking a name server",
    "onion": "Tor's (RFC 7686): curl and others refuse to look them up",
    "alt": "names outside of DNS (RFC 9476): resolvers need not ask for them",
    "arpa": "addresses' reverse names: the name server that every pod asks takes some for its own",
}
FREE = ("home.arpa",)
CHOOSE = "choose a domain of your own, or one under .internal, .test or .home.arpa"
# machine-config-operator's mco-hostname --wait looks for the word anywhere in the host name.
WAITED_OUT = "localhost"
NEVER = (f"a node waits to start until {WAITED_OUT} is no part of its host name: it never would", "choose another name")


class Asked(NamedTuple):
    """A host that is looked up by the services host: the setting that names it, and as part of what."""

    setting: str
    value: str
    host: str


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """What does not hold, and what an installed cluster cannot change or no longer needs."""
    if refused.touches("cluster"):
        return
    yield from [*_own_domain(settings), *_waited_out(settings)][:1]
    yield from _machines(settings)
    for asked in (*_release(settings, refused), *_files(settings, refused)):
        yield from _denied(settings, asked)


def uplink(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """What does not hold of the servers that the services host asks all its life."""
    if refused.touches("cluster"):
        return
    for asked in _time_servers(settings, refused):
        inside = own_names.is_inside(settings, asked.host)
        itself = inside and own_names.answered(settings, asked.host) == settings.services.address
        if itself or asked.host in ("localhost", "localhost.localdomain"):
            harm = "the services host itself: it would ask itself for ever"
            yield Problem(asked.setting, asked.value, harm, "give a server of the site, or leave it out")
        else:
            yield from _denied(settings, asked)


def doubts(settings: Settings) -> Iterator[Problem]:
    """Names without a domain, which mean another host wherever they are asked for, and names that nobody looks up."""
    nothing = Refused(frozenset())
    upstream = (*_release(settings, nothing), *_files(settings, nothing))
    for setting, value, host in (*_time_servers(settings, nothing), *upstream):
        if not set(".:") & set(host) and host != WAITED_OUT:
            full = f"{host}.{own_names.domain(settings)}"
            harm = f"{host} is a name without a domain: the services host looks for {full} first"
            yield Problem(setting, value, harm, "write the host's full name, or its address")
    named = {one.host for one in upstream if re.search("[a-z]", one.host) and ":" not in one.host}
    unknown = sorted(host for host in named if not own_names.is_inside(settings, host))
    if unknown and not settings.uplink.resolvers:
        harm = f"without one the services host looks up no name outside of the cluster: {', '.join(unknown)}"
        yield Problem("uplink.resolvers", "none", harm, "add the site's name servers, or give addresses everywhere")


def _own_domain(settings: Settings) -> Iterator[Problem]:
    name, base = settings.cluster.name, settings.cluster.base_domain
    whole = own_names.domain(settings)
    found = next((one for one in ELSEWHERE if _within(whole, one)), None)
    if found is None or any(_within(whole, free) for free in FREE):
        return
    harm = f"names under .{found} are {ELSEWHERE[found]}"
    if _within(base, found):
        yield Problem("cluster.baseDomain", base, harm, CHOOSE)
    else:
        yield Problem("cluster.name", name, f"with cluster.baseDomain {base}, {harm}", "choose another name, e.g. okd")


def _waited_out(settings: Settings) -> Iterator[Problem]:
    given = {"cluster.name": settings.cluster.name, "cluster.baseDomain": settings.cluster.base_domain}
    yield from (Problem(setting, name, *NEVER) for setting, name in given.items() if WAITED_OUT in name)


def _machines(settings: Settings) -> Iterator[Problem]:
    # A machine of that very name is refused with other names that are taken (machine_checks.py).
    names = [name for name in settings.machines if WAITED_OUT in name and name != WAITED_OUT]
    yield from (Problem(f"machines.{name}", name, *NEVER) for name in names)


def _within(name: str, domain: str) -> bool:
    return f".{name}".endswith(f".{domain}")


def _denied(settings: Settings, asked: Asked) -> Iterator[Problem]:
    if not own_names.is_inside(settings, asked.host):
        return
    whole = own_names.domain(settings)
    fix = f"give a name outside of {whole} or an address, or give the cluster another domain"
    if own_names.answered(settings, asked.host) is None:
        harm = f"{asked.host} lies in {whole}, where this stack's name server alone answers, the services host too: "
        yield Problem(asked.setting, asked.value, f"{harm}it has no such record and denies the name", fix)
    elif f".{own_names.APPS}." in asked.host:
        harm = f"{asked.host} is the cluster's own ingress, behind which nothing stands before it is installed"
        yield Problem(asked.setting, asked.value, harm, fix)


def _time_servers(settings: Settings, refused: Refused) -> Iterator[Asked]:
    for number, server in enumerate(settings.uplink.time_servers):
        if not refused.touches("uplink.timeServers") and not server.replace(".", "").isdigit():
            yield Asked(f"uplink.timeServers[{number}]", server, server)


def _release(settings: Settings, refused: Refused) -> Iterator[Asked]:
    """Registries, which nobody is asked for where the release comes by removable media."""
    release = settings.release
    if release.media is not None or refused.touches("release.media"):
        return
    given = {"release.image": str(release.image)} if release.image else {}
    given |= {f"release.sources[{number}]": one for number, one in enumerate(release.sources)}
    given |= {f"release.additionalImages[{number}]": one for number, one in enumerate(release.additional_images)}
    catalogs = enumerate(release.operator_catalogs)
    given |= {f"release.operatorCatalogs[{number}].catalog": one.catalog for number, one in catalogs}
    for setting, image in given.items():
        if not refused.touches(setting):
            host = Reference.parse(image).registry.partition(":")[0].lower()
            yield Asked(setting, image, host)


def _files(settings: Settings, refused: Refused) -> Iterator[Asked]:
    """What the services host downloads. Its own image is none of it: that is had where Pulumi runs."""
    boot = settings.boot_image
    files = {"kernel": boot.kernel, "initramfs": boot.initramfs, "rootfs": boot.rootfs}
    given = {f"bootImage.{part}.location": file.location for part, file in files.items() if file is not None}
    if settings.release.client.location is not None:
        given["release.client.location"] = settings.release.client.location
    for setting, location in given.items():
        host = urlsplit(location).hostname
        if host and not refused.touches(setting):
            yield Asked(setting, shown(location, setting), host)
