"""The libvirt host, its networks, and the services host.

Owns the shape and defaults of the sections `hypervisor`, `network`, `uplink` and `services`. Does not own defaults that
follow from other settings (settings.py), nor relations between values (settings_checks.py).
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field

from cluster.section import Section
from cluster.values import (
    UNSET,
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
)


class Hypervisor(Section):
    """The libvirt host."""

    uri: Annotated[str, Field(pattern=r"^[a-z]+(\+[a-z0-9]+)?://\S*$")] = "qemu:///system"
    accelerator: Literal["auto", "kvm", "qemu"] = "auto"
    pool_path: AbsolutePath | None = None


class ClusterNetwork(Section):
    """The isolated network of the cluster; `router` defaults to the services host."""

    cidr: Network = IPv4Network("192.168.200.0/24")
    router: Address | None = None
    mtu: Annotated[int, Field(ge=1280, le=9216)] = 1500


class Uplink(Section):
    """The services host's way out: a NAT network of our own, or an existing bridge of the hypervisor."""

    cidr: Network = IPv4Network("192.168.125.0/24")
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
    protect_registry: bool = True
