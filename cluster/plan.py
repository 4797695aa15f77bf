"""The plan: everything a stack is made of, known before anything is created.

Owns putting the services' bundles and documents in order. Does not own their content.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from cluster import (
    boot,
    cloud_init,
    dhcp,
    dns,
    firewall,
    http_server,
    load_balancer,
    registry,
    smoke,
    time_service,
    trust,
)
from cluster.cloud_init import CloudInit
from cluster.host_files import Bundle
from cluster.host_os import HOST_SYSTEMS, HTTP_ROOT, REGISTRY_MOUNT
from cluster.machines import Machine, table
from cluster.names import Names
from cluster.settings import Settings
from cluster.site import Site

# No service's check or health needs another service, so that they may be delivered side by side.
SERVICES = (firewall, time_service, dns, dhcp, boot, http_server, trust, registry, load_balancer)


@dataclass(frozen=True)
class Plan(Site):
    """A stack as planned from validated settings."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The plan for a stack's settings."""
        system = HOST_SYSTEMS[settings.services.operating_system]
        return cls(settings=settings, names=Names(settings.stack), machines=table(settings), host_os=system)

    @property
    def bootstrap(self) -> Machine:
        """The bootstrap machine."""
        return self.of_role("bootstrap")[0]

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """One bundle a service."""
        return tuple(service.bundle(self) for service in SERVICES)

    @property
    def packages(self) -> tuple[str, ...]:
        """The services host's packages."""
        return self.host_os.packages

    def packages_document(self) -> dict[str, Any]:
        """What the host agent's `packages` reads."""
        return {"manager": self.host_os.package_manager, "names": list(self.packages)}

    def storage_document(self) -> dict[str, Any]:
        """What the host agent's `storage` reads: the data volume is the services host's second disk."""
        return {
            "device": "/dev/vdb",
            "label": "okd-registry",
            "mountPoint": REGISTRY_MOUNT,
            "owner": self.host_os.registry_owner,
        }

    def boot_fetch(self) -> list[dict[str, str | None]]:
        """The boot image's files: url, path under the HTTP root, sha256 (None: the `SHA256SUMS` beside it counts)."""
        return boot.boot_fetch(self)

    def fetch_document(self) -> dict[str, Any]:
        """What the host agent's `fetch` reads."""
        return {"root": HTTP_ROOT, "files": self.boot_fetch()}

    def network_boot(self, machine: Machine) -> dict[str, Any]:
        """What the host agent's `await-boot` reads for one machine, without its domain's UUID."""
        return boot.network_boot(self, machine)

    def smoke(self) -> dict[str, Any]:
        """What the host agent's `smoke` reads, without the registry's password and CA."""
        return smoke.document(self)

    def cloud_init(self, ssh_public_key: str, host_private_key: str, host_public_key: str) -> CloudInit:
        """The services host's seed for the given keys."""
        return cloud_init.seed(self, ssh_public_key, host_private_key, host_public_key)

    def machines_output(self) -> list[dict[str, Any]]:
        """The machine table as the stack's output shows it."""
        return [machine.output() for machine in self.machines]
