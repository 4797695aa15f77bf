"""The libvirt host, its networks, and the services host.

Owns the shape and defaults of the sections `hypervisor`, `network`, `uplink` and `services`. Does not own defaults that
follow from other settings (settings.py), nor relations between values (settings_checks.py).
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema

from cluster.places import AbsolutePath, Location, without_password
from cluster.section import Section
from cluster.values import (
    UNSET,
    UNSET_NETWORK,
    Address,
    Count,
    Disk,
    Host,
    Interface,
    Label,
    Memory,
    Network,
    Sha256,
    Switch,
    refused,
    written,
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
    if without_password(text) != text:
        raise refused(
            "its password would stand in the stack's state and in messages, and virsh does not know what to do with it",
            "log in by a key, in the agent or as qemu+ssh://USER@HOST/system?keyfile=PATH",
        )
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
    if transport == "ssh" and not parts.username:
        # terraform-provider-libvirt (uri/ssh.go) passes over the local login, and over the User of ~/.ssh/config.
        raise refused(
            "names no user: the libvirt provider would log in as nobody, though virsh and ssh take the local user, or "
            "that of ~/.ssh/config",
            f"write qemu+ssh://USER@{parts.netloc.rpartition('@')[2]}/system",
        )
    return text


LibvirtUri = Annotated[
    str,
    BeforeValidator(libvirt_uri),
    written(
        "libvirt URI",
        r"^qemu((\+unix)?://[^\s/@]*|\+(tls|tcp)://([^\s/:@]*@)?[^\s/@]+|\+ssh://[^\s/:@]+@[^\s/@]+)/system(\?\S*)?$",
        "qemu+ssh://root@host/system",
    ),
]


class Hypervisor(Section):
    """The libvirt host."""

    uri: LibvirtUri = "qemu:///system"
    """Where libvirt listens, as the machine that runs Pulumi reaches it. Over ssh it names the user; the key must be
    usable without a passphrase being asked for, and the host be known."""
    accelerator: Literal["auto", "kvm", "qemu"] = "auto"
    """`kvm` runs machines on the host's processor, `qemu` emulates one (about ten times slower), `auto` takes kvm where
    the host offers it."""
    pool_path: AbsolutePath | None = None
    """The directory on the libvirt host for the stack's volumes; it is made, and removed with the stack.
    Default: `/var/lib/libvirt/images/okd-<stack>`"""


# The check of the smallest says why; editors are told the number.
Mtu = Annotated[
    int,
    Field(strict=True, ge=0, le=9216),
    WithJsonSchema({"type": "integer", "minimum": 1380, "maximum": 9216}),
]


class ClusterNetwork(Section):
    """The isolated network of the cluster; `router` defaults to the services host."""

    cidr: Network = IPv4Network("192.168.200.0/24")
    """The network in which machines have their addresses, /16 at most. libvirt has no address in it, so that several
    stacks may use the same one."""
    router: Address | None = None
    """The default route that machines are given. Another one than the services host is a way out of the isolation.
    Default: the services host, which forwards nothing"""
    mtu: Mtu = 1500
    """The largest packet in bytes. Pods have 100 less, which the overlay takes, and need 1280: give 1380 or more."""


class Uplink(Section):
    """The services host's way out: a NAT network of our own, or an existing bridge of the hypervisor."""

    cidr: Network = UNSET_NETWORK
    """The uplink's network: one that is made with NAT, or the one that `bridge` leads to, where it is required.
    Default: a /24 between 192.168.64.0 and 192.168.191.255 by the stack's name, which overlaps none of its networks"""
    address: Address = UNSET
    """The services host's address on the uplink; required with `bridge`. Default: the tenth address of uplink.cidr"""
    gateway: Address = UNSET
    """The router that the services host uses; required with `bridge`. Default: the first address of uplink.cidr, which
    libvirt gives itself"""
    bridge: Interface | None = None
    """An existing bridge of the libvirt host to use in place of a network of our own, e.g. br0.
    Default: none; a NAT network is made"""
    resolvers: tuple[Address, ...] = ()
    """Name servers that the services host asks for names outside of the cluster, e.g. of registries to mirror from.
    Machines never ask them. Default: none; names outside are not found"""
    time_servers: tuple[Host, ...] = ()
    """Servers that the services host takes its time from, by address or name; names need `resolvers`.
    Default: none; it serves its own clock"""
    expose: tuple[Literal[443, 80, 6443], ...] = ()
    """Ports of the load balancer that are open on the uplink too: 443 and 80 for the ingress, 6443 for the API.
    Default: none; only ssh is open there"""


class Image(Section):
    """The services host's disk image: a path or URL, with its SHA-256 where it is known."""

    location: Location
    """Path on the machine that runs Pulumi (relative to the project), or http(s) URL, of a cloud image in qcow2 or raw
    form."""
    sha256: Sha256 | None = None
    """The file's SHA-256. Default: none; new content behind the same URL goes unnoticed"""


class Services(Section):
    """The services host."""

    name: Label = "services"
    """Its host name, under which the registry is reached as well."""
    address: Address = UNSET
    """Its address on the cluster network. Default: the last address of network.cidr"""
    operating_system: Literal["debian-12", "fedora"] = "debian-12"
    """What the image holds: package names, paths and units follow from it."""
    image: Image
    """The image that its disk starts as."""
    cpus: Count = 2
    """Its processors."""
    memory_mib: Memory = 4096
    """Its memory in MiB."""
    disk_gib: Disk = 20
    """Its system disk in GiB."""
    registry_gib: Disk = 100
    """The volume of the mirror registry in GiB, which outlives the host. A release takes about 20 GiB,
    operator catalogs far more."""
    protect_registry: Switch = True
    """Whether the registry's volume is kept when the stack is destroyed."""
