"""The services of the services host, and the check that they serve the cluster network.

Owns one `HostService` a bundle, side by side, and the smoke check after them. Does not own the host nor what the
bundles say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from cluster.plan import Plan
from components.host_service import HostService, HostServiceArgs
from components.htpasswd_user import HtpasswdUser
from components.pki import Pki
from components.services_host import ServicesHost
from components.smoke_check import SmokeCheck, SmokeCheckArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class ServicesArgs:
    """Whose services, and what is known only when the stack is built."""

    plan: Plan
    services_host: ServicesHost
    pki: Pki
    registry_user: HtpasswdUser


class Services(pulumi.ComponentResource):
    """`delivered` complete once every service runs, `ready` once the cluster network gets what it needs from them."""

    delivered: list[pulumi.Resource]
    ready: pulumi.Resource

    def __init__(self, name: str, args: ServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Services", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        host, pki = args.services_host.host, args.pki
        values: Mapping[str, pulumi.Output[str]] = {
            "ca-certificate": pki.ca_certificate,
            "registry-certificate": pki.registry.certificate,
            "registry-key": pki.registry.key,
            "registry-htpasswd": args.registry_user.htpasswd,
        }
        host_ready = args.services_host.prepared
        services = {
            bundle.service: HostService(
                bundle.service,
                HostServiceArgs(bundle=bundle, host=host, values=values),
                child,
                after=[*host_ready, *([args.services_host.stored] if bundle.on_data_volume else [])],
                secrets_after=[args.services_host.agent],
            )
            for bundle in args.plan.services
        }
        self.delivered = [service.delivered for service in services.values()]
        smoke = SmokeCheck(
            "smoke-check",
            SmokeCheckArgs(
                plan=args.plan,
                host=host,
                registry_password=args.registry_user.password,
                ca_certificate=pki.ca_certificate,
                service_digests={service: one.digest for service, one in services.items()},
            ),
            self.delivered,
            child,
        )
        self.ready = smoke.passed
        self.register_outputs({})
