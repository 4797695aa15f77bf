"""A stack's settings: their names, types and defaults.

Owns the shape of `Pulumi.<stack>.yaml` (keys under `okd-libvirt:`) and `Settings.parse`, which reports everything that
is wrong at once. Does not own relations between values (settings_checks.py) nor anything derived (plan.py).
Sizes are in MiB (memory) and GiB (disks), as the keys say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr

from cluster import settings_checks, uplink_checks
from cluster.check_settings import Checks
from cluster.host_settings import ClusterNetwork, Hypervisor, Services, Uplink
from cluster.install_settings import Install
from cluster.machine_settings import DEFAULT_POOLS, BootImage, Machine, Pool, Role, default_pool
from cluster.project_files import PROJECT
from cluster.release_settings import Release
from cluster.section import Section
from cluster.settings_form import examine, merged
from cluster.settings_problems import Problem, SettingsError
from cluster.values import UNSET, UNSET_NETWORK, Domain, Label

__all__ = ["Problem", "Role", "Settings", "SettingsError"]


class Cluster(Section):
    """The cluster's name; its domain is `<name>.<baseDomain>`."""

    name: Label = "okd"
    """The first part of the cluster's domain, one DNS label of at most 54 characters."""
    base_domain: Domain
    """The domain that the cluster's own is made under. Records and host names lie under `<name>.<baseDomain>`; the
    services host answers for that alone, so it need not exist anywhere else, and nothing that the stack takes from
    elsewhere may lie in it. None that systems look up in their own way, such as .local."""


class Settings(Section):
    """Everything a stack's file says, validated, with defaults that depend on other settings filled in."""

    cluster: Cluster
    """The cluster's name and domain."""
    hypervisor: Hypervisor = Hypervisor()
    """The libvirt host that everything is made on."""
    network: ClusterNetwork = ClusterNetwork()
    """The isolated network of the cluster."""
    uplink: Uplink = Uplink()
    """The services host's way out, and the way in to it."""
    services: Services
    """The services host: addresses, names, time, boot files, load balancing and images come from it."""
    pools: dict[str, Pool] = Field(default_factory=dict)
    """Machine pools by name: kinds of machines with their role and sizes. The usual ones exist already, and what is
    written here goes over them key by key."""
    machines: dict[str, Machine] = Field(default_factory=dict)
    """Machines by name, each in a pool; one bootstrap machine and 1, 3 or 5 for the control plane at least. A machine's
    name is its host name, and what is said here goes over its pool."""
    boot_image: BootImage = BootImage()
    """What machines boot from the network to be installed."""
    release: Release = Release()
    """The OKD release: which one, where it comes from, and how it is mirrored."""
    install: Install = Install()
    """The cluster's own networks, its users, and what it is born with."""
    checks: Checks = Checks()
    """What becomes of a stack whose sizes are doubtful."""
    _stack: str = PrivateAttr(default="")
    _directory: Path = PrivateAttr(default=PROJECT)
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())

    @property
    def stack(self) -> str:
        """The stack's name, from which names and MACs are derived."""
        return self._stack

    @property
    def directory(self) -> Path:
        """Where relative paths of files on this machine start."""
        return self._directory

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is doubtful without being refused."""
        return self._warnings

    @classmethod
    def parse(
        cls,
        config: Mapping[str, Any],
        stack: str,
        directory: Path = PROJECT,
        *,
        look_at_files: bool = True,
        known: Sequence[Problem] = (),
        stands: bool = False,
    ) -> Self:
        """Settings from a stack's plain config values, keys without the project's prefix.

        Args:
            config: the values by key.
            stack: the stack's name.
            directory: where relative paths of files on this machine start.
            look_at_files: whether those files are there and fit to use is checked as well.
            known: problems that were found already and belong into the same report.
            stands: whether machines of the cluster stand: what can no longer be changed is a warning then.

        Raises:
            SettingsError: one report of every problem found.
        """
        given = {key: value for key, value in config.items() if value is not None}
        given["pools"] = merged(DEFAULT_POOLS, given.get("pools", {}))
        problems, sane = examine(cls, given)
        if sane is None:
            raise SettingsError([*problems, *known])
        settings = sane._with_defaults(stack, directory)
        reported = [problem.setting for problem in problems]
        found = settings_checks.check(settings, reported, directory if look_at_files else None, stands=stands)
        problems += [*found.refused, *known]
        if problems:
            raise SettingsError(problems)
        settings._warnings = found.warned
        return settings

    def _with_defaults(self, stack: str, directory: Path) -> Self:
        cidr, uplink = self.network.cidr, self.uplink
        services = self.services
        if services.address == UNSET and cidr.num_addresses > 2:
            services = services.model_copy(update={"address": cidr.broadcast_address - 1})
        router = self.network.router or services.address
        if uplink.bridge is None:
            uplink = self._own_uplink(stack)
        pool_path = self.hypervisor.pool_path or f"/var/lib/libvirt/images/okd-{stack}"
        machines = {
            name: machine.model_copy(update={"pool": machine.pool or default_pool(name)})
            for name, machine in self.machines.items()
        }
        complete = self.model_copy(
            update={
                "services": services,
                "network": self.network.model_copy(update={"router": router}),
                "uplink": uplink,
                "hypervisor": self.hypervisor.model_copy(update={"pool_path": pool_path}),
                "machines": machines,
                "release": self.release.complete(),
            }
        )
        complete._stack, complete._directory = stack, directory
        return complete

    def _own_uplink(self, stack: str) -> Uplink:
        """The uplink with what follows from its network, which follows from the stack's name."""
        uplink, inner = self.uplink, self.install
        cidr = uplink.cidr
        if cidr == UNSET_NETWORK:
            cidr = uplink_checks.derived(stack, (self.network.cidr, inner.cluster_network, inner.service_network))
            if cidr == UNSET_NETWORK:
                return uplink
        return uplink.model_copy(
            update={
                "cidr": cidr,
                "address": uplink.address if uplink.address != UNSET else _nth(cidr, min(10, cidr.num_addresses - 2)),
                "gateway": uplink.gateway if uplink.gateway != UNSET else _nth(cidr, 1),
            }
        )


def _nth(network: IPv4Network, number: int) -> IPv4Address:
    return IPv4Address(min(int(network.network_address) + number, 2**32 - 1))
