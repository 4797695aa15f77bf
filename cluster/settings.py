"""A stack's settings: their names, types and defaults.

Owns the shape of `Pulumi.<stack>.yaml` (keys under `okd-libvirt:`) and `Settings.parse`, which reports everything that
is wrong at once. Does not own relations between values (settings_checks.py) nor anything derived (plan.py).
Sizes are in MiB (memory) and GiB (disks), as the keys say.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr

from cluster import settings_checks
from cluster.install_settings import Install
from cluster.project_files import PROJECT
from cluster.release_settings import Release
from cluster.section import Section
from cluster.settings_problems import Problem, SettingsError, examine, merged
from cluster.values import (
    UNSET,
    AbsolutePath,
    Address,
    Domain,
    Host,
    Interface,
    KernelArgument,
    Label,
    Location,
    Mac,
    Network,
    Sha256,
    Url,
)

__all__ = ["Problem", "Settings", "SettingsError"]

Role = Literal["bootstrap", "control-plane", "compute"]
Count = Annotated[int, Field(ge=1, le=1024)]
Memory = Annotated[int, Field(ge=64, le=16 * 1024 * 1024)]
Disk = Annotated[int, Field(ge=1, le=64 * 1024)]


class Cluster(Section):
    """The cluster's name; its domain is `<name>.<baseDomain>`."""

    name: Label = "okd"
    base_domain: Domain


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


class Pool(Section):
    """Machines of one kind: their role and sizes."""

    role: Role = "compute"
    cpus: Count = 4
    memory_mib: Memory = 16384
    disk_gib: Disk = 120
    extra_disks_gib: tuple[Disk, ...] = ()


class Machine(Section):
    """One machine; what is not said here comes from its pool."""

    pool: str | None = None
    address: Address = UNSET
    mac: Mac | None = None
    cpus: Count | None = None
    memory_mib: Memory | None = None
    disk_gib: Disk | None = None
    extra_disks_gib: tuple[Disk, ...] | None = None
    kernel_arguments: tuple[KernelArgument, ...] = ()


class BootFile(Section):
    """One file of the boot image; without a SHA-256 the `SHA256SUMS` beside it counts."""

    location: Url
    sha256: Sha256 | None = None


class BootImage(Section):
    """What machines boot from the network; without files, the image that the release's installer names.

    `reportsBack` when it answers the kernel argument okd.report=<url>.
    """

    kernel: BootFile | None = None
    initramfs: BootFile | None = None
    rootfs: BootFile | None = None
    kernel_arguments: tuple[KernelArgument, ...] = ()
    reports_back: bool = False


DEFAULT_POOLS: dict[str, dict[str, Any]] = {
    "bootstrap": {"role": "bootstrap"},
    "control-plane": {"role": "control-plane"},
    "compute": {"role": "compute", "memoryMiB": 8192},
    "infra": {"role": "compute"},
    "storage": {"role": "compute", "extraDisksGiB": [500]},
}


class Settings(Section):
    """Everything a stack's file says, validated, with defaults that depend on other settings filled in."""

    cluster: Cluster
    hypervisor: Hypervisor = Hypervisor()
    network: ClusterNetwork = ClusterNetwork()
    uplink: Uplink = Uplink()
    services: Services
    pools: dict[str, Pool] = Field(default_factory=dict)
    machines: dict[str, Machine] = Field(default_factory=dict)
    boot_image: BootImage = BootImage()
    release: Release = Release()
    install: Install = Install()
    _stack: str = PrivateAttr(default="")
    _directory: Path = PrivateAttr(default=PROJECT)

    @property
    def stack(self) -> str:
        """The stack's name, from which names and MACs are derived."""
        return self._stack

    @property
    def directory(self) -> Path:
        """Where relative paths of files on this machine start."""
        return self._directory

    @classmethod
    def parse(
        cls, config: Mapping[str, Any], stack: str, directory: Path = PROJECT, *, look_at_files: bool = True
    ) -> Self:
        """Settings from a stack's plain config values, keys without the project's prefix.

        Args:
            config: the values by key.
            stack: the stack's name.
            directory: where relative paths of files on this machine start.
            look_at_files: whether those files are there and fit to use is checked as well.

        Raises:
            SettingsError: one report of every problem found.
        """
        given = {key: value for key, value in config.items() if value is not None}
        given["pools"] = merged(DEFAULT_POOLS, given.get("pools", {}))
        problems, sane = examine(cls, given)
        if sane is None:
            raise SettingsError(problems)
        settings = sane._with_defaults(stack, directory)
        reported = [problem.setting for problem in problems]
        problems += settings_checks.check(settings, reported, directory if look_at_files else None)
        if problems:
            raise SettingsError(problems)
        return settings

    def _with_defaults(self, stack: str, directory: Path) -> Self:
        cidr, uplink = self.network.cidr, self.uplink
        services = self.services
        if services.address == UNSET and cidr.num_addresses > 2:
            services = services.model_copy(update={"address": cidr.broadcast_address - 1})
        router = self.network.router or services.address
        way_out = {
            "address": uplink.address if uplink.address != UNSET else _nth(uplink.cidr, 10),
            "gateway": uplink.gateway if uplink.gateway != UNSET else _nth(uplink.cidr, 1),
        }
        pool_path = self.hypervisor.pool_path or f"/var/lib/libvirt/images/okd-{stack}"
        machines = {
            name: machine.model_copy(update={"pool": machine.pool or default_pool(name)})
            for name, machine in self.machines.items()
        }
        complete = self.model_copy(
            update={
                "services": services,
                "network": self.network.model_copy(update={"router": router}),
                "uplink": uplink.model_copy(update=way_out),
                "hypervisor": self.hypervisor.model_copy(update={"pool_path": pool_path}),
                "machines": machines,
                "release": self.release.complete(),
            }
        )
        complete._stack, complete._directory = stack, directory
        return complete


def _nth(network: IPv4Network, number: int) -> IPv4Address:
    return IPv4Address(min(int(network.network_address) + number, 2**32 - 1))


def default_pool(machine: str) -> str:
    """The pool a machine is in by its name: the name without its trailing number."""
    stem, hyphen, number = machine.rpartition("-")
    return stem if hyphen and number.isdigit() else machine
