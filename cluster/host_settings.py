"""The libvirt host, its networks, and the services host.

Owns the shape and defaults of the sections `hypervisor`, `network`, `uplink` and `services`. Does not own defaults that
follow from other settings (settings.py), nor relations between values (settings_checks.py).
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from cluster.section import Section
from cluster.values import (
    UNSET,
    UNSET_NETWORK,
    AbsolutePath,
    Address,
    Count,
    Disk,
    Host,
    Interface,
    Label,
    Location,
    Memory,
    Network,
    Sha256,
    Switch,
    refused,
)

TRANSPORTS = ("", "unix", "ssh", "tls", "tcp")


def libvirt_uri(value: Any) -> str:
    """The URI of a system libvirt that makes QEMU machines."""
    text = value.strip() if isinstance(value, str) else ""
    fix = "write a libvirt URI such as qemu:///system or qemu+ssh://user@host/system"
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise refused("libvirt would not understand it", fix) from error
    driver, _, transport = parts.scheme.partition("+")
    if "://" not in text or not driver or any(character.isspace() for character in text):
        raise refused("libvirt would not understand it", fix)
    if driver != "qemu" or transport not in TRANSPORTS:
        raise refused(f"no way to QEMU machines: {parts.scheme} is none of qemu, qemu+ssh, qemu+tls and qemu+tcp", fix)
    if parts.netloc in ("system", "session") and not parts.path.strip("/"):
        raise refused(f"with two slashes {parts.netloc} is the name of a host", f"write qemu:///{parts.netloc}")
    if parts.path == "/session":
        raise refused("a user's own libvirt may make no networks", fix)
    if parts.path != "/system":
        raise refused("does not end in /system, which says which libvirt of the host is meant", fix)
    if transport in ("ssh", "tls", "tcp") and not parts.hostname:
        raise refused(f"{transport} leads to another host, and none is named", fix)
    return text


LibvirtUri = Annotated[str, BeforeValidator(libvirt_uri)]


class Hypervisor(Section):
    """The libvirt host."""

    uri: LibvirtUri = "qemu:///system"
    accelerator: Literal["auto", "kvm", "qemu"] = "auto"
    pool_path: AbsolutePath | None = None


class ClusterNetwork(Section):
    """The isolated network of the cluster; `router` defaults to the services host."""

    cidr: Network = IPv4Network("192.168.200.0/24")
    router: Address | None = None
    mtu: Annotated[int, Field(strict=True, ge=68, le=9216)] = 1500


class Uplink(Section):
    """The services host's way out: a NAT network of our own, or an existing bridge of the hypervisor."""

    cidr: Network = UNSET_NETWORK
    address: Address = UNSET
    gateway: Address = UNSET
    bridge: Interface | None = None
    resolvers: tuple[Address, ...] = ()
    time_servers: tuple[Host, ...] = ()
    expose: tuple[Literal[443, 80, 6443], ...] = ()


class Image(Section):
    """The services host's disk image: a path or URL, with its SHA-256 where it is known."""

    location: Location
    sha256: Sha256 | None = None


class Services(Section):
    """The services host."""

    name: Label = "services"
    address: Address = UNSET
    operating_system: Literal["debian-12", "fedora"] = "debian-12"
    image: Image
    cpus: Count = 2
    memory_mib: Memory = 4096
    disk_gib: Disk = 20
    registry_gib: Disk = 100
    protect_registry: Switch = True
