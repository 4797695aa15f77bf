"""The libvirt host a stack is built on, seen from Pulumi.

Owns the explicit libvirt provider (so that a URI is never guessed) and the stack's own storage pool. Does not own
networks, volumes or domains, nor the look at the host (host_look.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_libvirt as libvirt

from cluster import preflight
from cluster.changes.form import Forms
from cluster.plan import Plan
from cluster.preflight.facts import HostFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class HypervisorArgs:
    """`pool_path` is a directory on the libvirt host; `domain_type` is `kvm` or `qemu`; `forms` are the domains'."""

    uri: str
    domain_type: str
    pool_name: str
    pool_path: str
    forms: Forms

    @classmethod
    def of(cls, plan: Plan, facts: HostFacts, forms: Forms) -> HypervisorArgs:
        """The arguments a plan asks for, on a host that offers what `facts` say."""
        wanted = plan.settings.hypervisor
        return cls(
            uri=wanted.uri,
            domain_type=preflight.domain_type(plan, facts),
            pool_name=plan.names.pool,
            pool_path=str(wanted.pool_path),
            forms=forms,
        )


class Hypervisor(pulumi.ComponentResource):
    """Provider and storage pool of one stack. `pool` is the pool's name once it exists."""

    provider: libvirt.Provider
    pool: pulumi.Output[str]
    pool_path: str
    domain_type: str
    forms: Forms

    def __init__(self, name: str, args: HypervisorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Hypervisor", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.domain_type, self.pool_path, self.forms = args.domain_type, args.pool_path, args.forms
        self.provider = libvirt.Provider(f"{name}-libvirt", uri=args.uri, opts=child)
        pool = libvirt.Pool(
            f"{name}-pool",
            name=args.pool_name,
            type="dir",
            target={"path": args.pool_path},
            opts=pulumi.ResourceOptions(parent=self, provider=self.provider),
        )
        self.pool = pool.name
        self.register_outputs({"pool": self.pool, "domainType": args.domain_type})
