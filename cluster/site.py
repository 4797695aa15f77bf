"""The facts that every service is derived from: settings, names, the machine table, the operating system.

Owns the derivation of domains, addresses and URLs that more than one service needs. Does not own any service's rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Self

from cluster.before import Before
from cluster.host_os import HostOs
from cluster.machines import Machine
from cluster.names import Names
from cluster.settings import Role, Settings

DNS_PORT, HTTP_PORT, REGISTRY_PORT, STATS_PORT = 53, 8080, 5000, 9000
API_PORT, MACHINE_CONFIG_PORT = 6443, 22623


@dataclass(frozen=True)
class Site:
    """One stack's facts; all addresses are on the cluster network unless they say uplink."""

    settings: Settings
    names: Names
    machines: tuple[Machine, ...]
    host_os: HostOs
    before: Before = field(default_factory=Before)

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.settings.stack

    @property
    def network(self) -> IPv4Network:
        """The cluster network."""
        return self.settings.network.cidr

    @property
    def router(self) -> IPv4Address:
        """The default route that machines are given."""
        return self.settings.network.router or self.services_address

    @property
    def cluster_domain(self) -> str:
        """The domain of the cluster's records and host names."""
        return f"{self.settings.cluster.name}.{self.settings.cluster.base_domain}"

    @property
    def services_fqdn(self) -> str:
        """The services host's full name."""
        return f"{self.settings.services.name}.{self.cluster_domain}"

    @property
    def services_address(self) -> IPv4Address:
        """The services host's address on the cluster network."""
        return self.settings.services.address

    @property
    def probe_address(self) -> IPv4Address:
        """A free address for the smoke check: the highest that nobody uses.

        Raises:
            ValueError: every address is used, which validated settings rule out.
        """
        used = {self.services_address, self.router, *(machine.address for machine in self.machines)}
        for number in range(self.network.num_addresses - 2, 0, -1):
            if self.network[number] not in used:
                return self.network[number]
        raise ValueError(f"no free address in {self.network}")

    @property
    def http_url(self) -> str:
        """The HTTP root as machines see it, by address: boot loaders need no name server then."""
        return f"http://{self.services_address}:{HTTP_PORT}"

    @property
    def registry(self) -> str:
        """The mirror registry as pull specs name it, by the name in its certificate."""
        return f"{self.services_fqdn}:{REGISTRY_PORT}"

    @property
    def registry_url(self) -> str:
        """The mirror registry as machines see it."""
        return f"https://{self.registry}"

    @property
    def api_url(self) -> str:
        """The Kubernetes API behind the load balancer."""
        return f"https://api.{self.cluster_domain}:{API_PORT}"

    @property
    def ingress_domain(self) -> str:
        """The domain under which the cluster's applications are reached."""
        return f"apps.{self.cluster_domain}"

    @property
    def console_url(self) -> str:
        """The cluster's web console."""
        return f"https://console-openshift-console.{self.ingress_domain}"

    def after_bootstrap(self) -> Self:
        """The same stack once its bootstrap machine has done its part."""
        return replace(self, before=replace(self.before, bootstrapped=True))

    def of_role(self, role: Role) -> tuple[Machine, ...]:
        """The machines of one role, in the table's order."""
        return tuple(machine for machine in self.machines if machine.role == role)
