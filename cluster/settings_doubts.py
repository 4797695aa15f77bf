"""What is allowed and yet seldom meant.

Owns these doubts, which a preview shows as warnings. Does not own what is refused (*_checks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cluster import domain_checks, image_checks, installer_checks, kernel_argument_checks, proxy_checks
from cluster.settings_problems import Problem

if TYPE_CHECKING:
    from cluster.settings import Settings

# A node takes 250 pods, which need an address each: those of a /24 just do.
LONGEST_HOST_PREFIX = 24


def check(settings: Settings) -> Iterator[Problem]:
    """Every doubt."""
    yield from _libvirt(settings)
    yield from _domain(settings)
    yield from _public(settings)
    yield from image_checks.doubts(settings)
    yield from domain_checks.doubts(settings)
    yield from kernel_argument_checks.doubts(settings)
    install = settings.install
    if install.host_prefix > LONGEST_HOST_PREFIX:
        addresses = 2 ** (32 - install.host_prefix) - 3
        harm = f"gives each node {addresses} addresses for pods, fewer than the 250 pods that it takes"
        yield Problem("install.hostPrefix", str(install.host_prefix), harm, "give 23, if the network has the room")
    yield from proxy_checks.doubts(settings)
    yield from installer_checks.doubts(settings)


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


def _libvirt(settings: Settings) -> Iterator[Problem]:
    parts = urlsplit(settings.hypervisor.uri)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "qemu+ssh" and ":" in host:
        harm = (
            "has a port or an IPv6 address: terraform-provider-libvirt 0.8.1, which pulumi-libvirt 0.5.4 is published "
            f"with, looks for a host whose name is all of {host}; the plugin of `make toolchain` does not"
        )
        fix = "take that plugin; or name the host, and let its sshd listen on port 22"
        yield Problem("hypervisor.uri", settings.hypervisor.uri, harm, fix)


def _domain(settings: Settings) -> Iterator[Problem]:
    name, base = settings.cluster.name, settings.cluster.base_domain
    if base.split(".")[0] == name and "." in base:
        harm = f"the cluster's domain is {name}.{base}: cluster.name comes before it anyway"
        yield Problem("cluster.baseDomain", base, harm, f"write {base.partition('.')[2]}, unless this is meant")


def _public(settings: Settings) -> Iterator[Problem]:
    own = {"network.cidr": settings.network.cidr}
    if settings.uplink.bridge is None:
        own["uplink.cidr"] = settings.uplink.cidr
    for setting, network in own.items():
        if network.is_global:
            harm = "public addresses: whoever has them in the Internet could not be reached from the services host"
            yield Problem(setting, str(network), harm, "choose a network inside 10/8, 172.16/12 or 192.168/16")
