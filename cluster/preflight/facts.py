"""What a libvirt host and this machine were seen to be.

Owns the facts' shapes. Does not own reading them from answers (answers.py), asking (components/host_look.py) nor
what follows from them (the other modules here). None always means: could not be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


@dataclass(frozen=True)
class Nic:
    """A domain's interface; `mac` in lower case."""

    mac: str
    network: str | None = None
    bridge: str | None = None


@dataclass(frozen=True)
class Domain:
    """`resident_mib` is what it takes of the host's memory now; None when it is off or that is unknown."""

    name: str
    uuid: str
    active: bool = False
    memory_mib: int = 0
    resident_mib: int | None = None
    nics: tuple[Nic, ...] = ()


@dataclass(frozen=True)
class Network:
    """A libvirt network; `subnets` are those of which the host has an address."""

    name: str
    uuid: str
    active: bool = True
    bridge: str | None = None
    subnets: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True)
class Pool:
    """A storage pool; `free` in bytes."""

    name: str
    uuid: str
    active: bool = True
    path: str | None = None
    free: int | None = None


@dataclass(frozen=True)
class Processors:
    """The host's processors; it offers `domain_types` and `machines`, by all their names, for its own architecture."""

    architecture: str
    domain_types: frozenset[str]
    virtual: bool
    machines: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Link:
    """A network interface of this machine."""

    name: str
    bridge: bool = False
    mtu: int = 1500


@dataclass(frozen=True)
class Route:
    """A route of this machine; `direct` without a router between."""

    network: IPv4Network
    interface: str
    direct: bool = True


@dataclass(frozen=True)
class Directory:
    """Where the pool's directory is or will be: `nearest` is what exists of its path; `free` in bytes."""

    nearest: str
    is_directory: bool = True
    writable: bool = True
    free: int | None = None
    files: frozenset[str] | None = None


@dataclass(frozen=True)
class Here:
    """This machine, when it is the libvirt host itself."""

    links: tuple[Link, ...] | None = None
    routes: tuple[Route, ...] | None = None
    addresses: frozenset[IPv4Address] | None = None
    directory: Directory | None = None


@dataclass(frozen=True)
class Image:
    """The services host's image: what is `wrong` with it, or why its server is `silent`; else its form and its size.

    `form` is qcow2 or raw, `size` that of the disk in bytes, 0 when unknown. All are empty where nobody has to look:
    for an image from a URL that is in the pool already.
    """

    wrong: str = ""
    silent: str = ""
    form: str = ""
    size: int = 0


@dataclass(frozen=True)
class HostFacts:
    """One look. `refusal` is why libvirt did not answer, in its own words; the facts about it are unknown then.

    `missing` are programs that this machine lacks; `volumes` are names in the stack's own pool; `links` are names of a
    remote host's network interfaces as libvirt writes them.
    """

    missing: tuple[str, ...] = ()
    refusal: str = ""
    processors: Processors | None = None
    cpus: int | None = None
    memory_free_mib: int | None = None
    domains: tuple[Domain, ...] | None = None
    networks: tuple[Network, ...] | None = None
    pools: tuple[Pool, ...] | None = None
    volumes: frozenset[str] | None = None
    links: tuple[str, ...] | None = None
    here: Here | None = None
    image: Image = Image()
