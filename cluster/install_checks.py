"""Relations of the installation: its networks to all others, its manifests to machines, pools and the release.

Owns these cross checks and their harm and fix. Does not own which release it is (release_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import user_manifests
from cluster.install_settings import Install
from cluster.machine_checks import roles_unsure
from cluster.network_checks import reserved
from cluster.project_files import resolved
from cluster.settings_problems import Problem, Refused
from cluster.user_manifests import Identity
from cluster.values import UNSET_NETWORK
from cluster.versions import SOURCE_POLICY

if TYPE_CHECKING:
    from cluster.settings import Settings

# OVN-Kubernetes' own; what it hides node addresses behind is link-local and refused as such.
OVN_NETWORKS = {
    IPv4Network("100.64.0.0/16"): "OVN-Kubernetes' join switch",
    IPv4Network("100.88.0.0/16"): "OVN-Kubernetes' transit switch",
}
# The installer adds ten characters to it in the names it makes.
CLUSTER_NAME_LIMIT = 54
BIGGEST_SERVICE_NETWORK = 12


def check(settings: Settings, refused: Refused, directory: Path | None) -> Iterator[Problem]:
    """Every relation that does not hold; `directory` as in release_checks."""
    install, release = settings.install, settings.release
    if len(settings.cluster.name) > CLUSTER_NAME_LIMIT:
        harm = f"longer than {CLUSTER_NAME_LIMIT} characters: the installer refuses it"
        yield Problem("cluster.name", settings.cluster.name, harm, "shorten it")
    old = release.version and not release.okd.since(SOURCE_POLICY)
    if install.source_policy and old and not refused.touches("release.image", "release.version"):
        yield Problem(
            "install.sourcePolicy",
            install.source_policy,
            f"the installer of {release.version} does not know it and goes on without: nodes would try the sources",
            "leave it out (the cluster network has no way to them), or take a release since 4.21",
        )
    if not refused.touches("install.clusterNetwork", "install.serviceNetwork"):
        yield from _networks(settings, refused)
    if not refused.touches("install.clusterNetwork", "install.hostPrefix"):
        yield from _room(settings)
    if not roles_unsure(refused):
        yield from _pools(settings, sure=not refused.touches("install.schedulableControlPlane"))
    if directory is not None and install.manifests is not None:
        yield from _manifests(install, directory)


def _networks(settings: Settings, refused: Refused) -> Iterator[Problem]:
    install = settings.install
    pods, services = install.cluster_network, install.service_network
    inner = {"install.clusterNetwork": (pods, "pods"), "install.serviceNetwork": (services, "cluster services")}
    usual = Install()
    chosen = {
        "install.clusterNetwork": pods != usual.cluster_network,
        "install.serviceNetwork": services != usual.service_network,
    }
    outer = {} if refused.touches("network.cidr") else {"network.cidr": settings.network.cidr}
    if not refused.touches("uplink.cidr", "uplink.bridge") and settings.uplink.cidr != UNSET_NETWORK:
        outer["uplink.cidr"] = settings.uplink.cidr
    for (outside, network), (inside, (taken, user)) in product(outer.items(), inner.items()):
        if network.overlaps(taken) and chosen[inside]:
            yield _overlap(inside, taken, f"{outside} {network}", user)
        elif network.overlaps(taken):
            yield _overlap(outside, network, f"{taken}, which OKD uses for {user}", "it")
    if pods.overlaps(services):
        name = "install.serviceNetwork" if chosen["install.serviceNetwork"] else "install.clusterNetwork"
        other = "install.clusterNetwork" if chosen["install.serviceNetwork"] else "install.serviceNetwork"
        yield _overlap(name, inner[name][0], f"{other} {inner[other][0]}", "either")
    every = outer | {name: network for name, (network, _) in inner.items()}
    for (name, network), (taken, user) in product(every.items(), OVN_NETWORKS.items()):
        if network.overlaps(taken):
            yield _overlap(name, network, f"{taken}, which OKD uses for {user}", "it")
    for name in inner:
        yield from reserved(name, inner[name][0])
    if services.prefixlen < BIGGEST_SERVICE_NETWORK:
        harm = f"larger than /{BIGGEST_SERVICE_NETWORK}: the installer refuses it"
        yield Problem("install.serviceNetwork", str(services), harm, "choose a /16")


def _overlap(setting: str, network: IPv4Network, other: str, what: str) -> Problem:
    harm = f"overlaps {other}: traffic to {what} would go astray"
    return Problem(setting, str(network), harm, "choose a private network outside it, e.g. 192.168.200.0/24")


def _room(settings: Settings) -> Iterator[Problem]:
    install = settings.install
    prefix, network = install.host_prefix, install.cluster_network
    nodes = len(settings.machines) - 1
    subnets = 2 ** (prefix - network.prefixlen) if prefix >= network.prefixlen else 0
    if subnets < nodes:
        yield Problem(
            "install.hostPrefix",
            str(prefix),
            f"leaves {subnets} node networks of /{prefix} in {network} for {nodes} nodes: the others would get no pods",
            f"give {network.prefixlen + (nodes - 1).bit_length()} or more, or widen install.clusterNetwork",
        )


def _pools(settings: Settings, *, sure: bool) -> Iterator[Problem]:
    install = settings.install
    used = {str(machine.pool) for machine in settings.machines.values()}
    compute = {name for name in used if name in settings.pools and settings.pools[name].role == "compute"}
    if install.schedulable_control_plane is False and not compute:
        yield Problem(
            "install.schedulableControlPlane",
            "false",
            "no compute machines: nothing could run anywhere and the installation would never end",
            "leave it out, or declare compute machines",
        )


def _manifests(install: Install, directory: Path) -> Iterator[Problem]:
    path = str(install.manifests)
    try:
        found, faults = user_manifests.load(resolved(path, directory))
    except OSError as error:
        harm = f"cannot be read ({error.strerror}), so none of its manifests would be in the cluster"
        yield Problem("install.manifests", path, harm, f"give a directory; a relative path starts at {directory}")
        return
    for fault in faults:
        yield Problem("install.manifests", f"{path}/{fault.name}", fault.harm, fault.fix)
    seen = _built_in(install)
    for one in found:
        if one.identity in seen:
            harm = (
                f"{one.identity.kind} {one.identity.name} is made already, and of two only the first would be created"
            )
            yield Problem("install.manifests", f"{path}/{one.source}", harm, seen[one.identity])
        else:
            seen[one.identity] = f"in {one.source}: keep one of the two"


def _built_in(install: Install) -> dict[Identity, str]:
    """What turns off each built-in manifest, by the identity of its object; those alone that are on."""
    config = "config.openshift.io"
    found = {Identity(config, "Scheduler", "", "cluster"): "set install.schedulableControlPlane in its place"}
    if install.admin_user.enabled:
        found[Identity(config, "OAuth", "", "cluster")] = "set install.adminUser.enabled to false, or remove it"
    if install.default_catalog_sources == "disabled":
        found[Identity(config, "OperatorHub", "", "cluster")] = (
            "set install.defaultCatalogSources to default, or remove it"
        )
    if install.samples_operator == "removed":
        key = Identity("samples.operator.openshift.io", "Config", "", "cluster")
        found[key] = "set install.samplesOperator to default, or remove it"
    if install.image_registry != "default":
        key = Identity("imageregistry.operator.openshift.io", "Config", "", "cluster")
        found[key] = "set install.imageRegistry to default, or remove it"
    key = Identity("operator.openshift.io", "IngressController", "openshift-ingress-operator", "default")
    if install.ingress_certificate:
        found[key] = "set install.ingressCertificate to false, or remove it"
    elif install.ingress.pool is not None:
        found[key] = "leave install.ingress.pool out, or remove it"
    return found
