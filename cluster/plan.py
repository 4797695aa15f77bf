"""The plan: everything a stack is made of, known before anything is created.

Owns putting the services' bundles and documents in order. Does not own their content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    ignition,
    installation,
    load_balancer,
    mirror,
    pull_secret,
    registry,
    secret_manifests,
    smoke,
    time_service,
    trust,
    units,
)
from cluster.before import Before
from cluster.cloud_init import CloudInit
from cluster.host_files import Bundle
from cluster.host_os import HOST_SYSTEMS, REGISTRY_MOUNT
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
    def of(cls, settings: Settings, before: Before | None = None) -> Self:
        """The plan for a stack's settings; `before` is what its last update brought about."""
        system = HOST_SYSTEMS[settings.services.operating_system]
        return cls(
            settings=settings,
            names=Names(settings.stack),
            machines=table(settings),
            host_os=system,
            before=before or Before(),
        )

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """Systemd's files first, then one bundle a service."""
        services = [service.bundle(self) for service in SERVICES]
        return (units.bundle(self.host_os, services), *services)

    @property
    def units(self) -> Bundle:
        """Systemd's files of all services."""
        return self.bundles[0]

    @property
    def services(self) -> tuple[Bundle, ...]:
        """One bundle a service."""
        return self.bundles[1:]

    @property
    def packages(self) -> tuple[str, ...]:
        """The services host's packages."""
        return self.host_os.packages

    def host_document(self) -> dict[str, Any]:
        """What the host agent's `prepare` reads."""
        return {"packages": {"manager": self.host_os.package_manager, "names": list(self.packages)}}

    def storage_document(self) -> dict[str, Any]:
        """What the host agent's `storage` reads: the data volume is the services host's second disk."""
        return {
            "device": "/dev/vdb",
            "label": units.DATA_LABEL,
            "mountPoint": REGISTRY_MOUNT,
            "unit": units.data_mount(),
            "owner": self.host_os.registry_owner,
        }

    @property
    def bootstraps(self) -> bool:
        """Whether this update brings the cluster to life by its bootstrap machine, or finds it alive."""
        return not self.before.bootstrapped

    @property
    def bootstrap_machines(self) -> tuple[Machine, ...]:
        """The bootstrap machine, while it is needed or kept."""
        return self.of_role("bootstrap") if self.bootstraps or self.settings.install.keep_bootstrap else ()

    @property
    def members(self) -> tuple[Machine, ...]:
        """The machines that become nodes."""
        return installation.members(self)

    def status_document(self) -> dict[str, Any]:
        """What the host agent's `cluster-status` reads."""
        return installation.status(self)

    def power_document(self) -> dict[str, Any]:
        """What the host agent's `cluster-stop` and `cluster-start` read."""
        return installation.power(self)

    def smoke(self) -> dict[str, Any]:
        """What the host agent's `smoke` reads, without the registry's password and CA."""
        return smoke.document(self)

    def cloud_init(self, ssh_public_key: str, host_private_key: str, host_public_key: str) -> CloudInit:
        """The services host's seed for the given keys."""
        return cloud_init.seed(self, ssh_public_key, host_private_key, host_public_key)

    def client_fetch(self, hashes: Mapping[str, str]) -> dict[str, Any]:
        """What the host agent's `fetch` reads to bring the first `oc`; `hashes` as of `mirror`."""
        return mirror.client_fetch(self, hashes)

    def mirror(self, hashes: Mapping[str, str]) -> dict[str, Any]:
        """What the host agent's `mirror` reads; `hashes` are SHA-256 (hex) by the secrets' names."""
        return mirror.mirror_document(self, hashes)

    def tools(self, release: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
        """What the host agent's `tools` reads; `release` is what `mirror` reports."""
        return mirror.tools_document(self, release, hashes)

    def boot_image(self, release: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
        """What the host agent's `boot-image` reads; `release` is what `mirror` reports, `hashes` as of `mirror`."""
        return boot.image_document(self, release, hashes)

    @property
    def ignition_secrets(self) -> tuple[str, ...]:
        """The names of the secrets that `ignition` is given through the services host."""
        return (pull_secret.LOCAL, *secret_manifests.names(self).values())

    def ignition_secret_texts(
        self, *, registry_password: str, htpasswd: str, certificate: str, key: str, ca_certificate: str
    ) -> dict[str, str]:
        """The texts of `ignition_secrets` by name.

        Args:
            registry_password: that of the mirror registry's user.
            htpasswd: the line of the cluster's own user.
            certificate: the default ingress's certificate, PEM.
            key: its private key, PEM.
            ca_certificate: the stack's own CA, PEM.
        """
        own = {pull_secret.LOCAL: pull_secret.local(self, registry.USER, registry_password)}
        return own | secret_manifests.texts(
            self, htpasswd=htpasswd, certificate=certificate, key=key, ca_certificate=ca_certificate
        )

    def ignition(
        self,
        *,
        release: Mapping[str, Any],
        ca_certificate: str,
        login_key: str,
        hashes: Mapping[str, str],
        generation: str,
        cluster: str,
    ) -> dict[str, Any]:
        """What the host agent's `ignition` reads; the arguments are those of cluster.ignition.document."""
        return ignition.document(
            self,
            release=release,
            ca_certificate=ca_certificate,
            login_key=login_key,
            hashes=hashes,
            generation=generation,
            cluster=cluster,
        )

    def ignition_status(self) -> dict[str, Any]:
        """What the host agent's `ignition-status` reads."""
        return ignition.status_document(self)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs that are known before anything is made."""
        admin = self.settings.install.admin_user
        return {
            "apiUrl": self.api_url,
            "consoleUrl": self.console_url,
            "kubeadminUsername": "kubeadmin",
            "adminUsername": admin.name if admin.enabled else None,
            "registryUrl": self.registry_url,
            "registryUsername": registry.USER,
            "clusterNetwork": str(self.network),
            "servicesAddress": str(self.services_address),
            "servicesUplinkAddress": str(self.settings.uplink.address),
            "machines": [machine.output() for machine in self.machines],
        }

    def release_output(self, known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The release as the stack's output shows it, from what `mirror` and `boot-image` report."""
        release, boot_image = known
        return {
            "version": release["version"],
            "digest": release["digest"],
            "image": release["release"],
            "verified": release["verified"],
            "bootImage": dict(boot_image),
        }
