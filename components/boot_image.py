"""The boot image (kernel, initramfs, rootfs) on the services host.

Owns its download over the uplink, its verification, and its place under the HTTP root. Does not own the choice of the
image nor the boot profiles that name it.
"""

from __future__ import annotations

import json

import pulumi

from cluster.plan import Plan
from components.host_command import Host, host_command


class BootImage(pulumi.ComponentResource):
    """`fetched` completes once every file of the boot image is in place with the right SHA-256."""

    fetched: pulumi.Resource

    def __init__(
        self,
        name: str,
        plan: Plan,
        host: Host,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("okd:index:BootImage", name, None, opts)
        document = json.dumps(plan.fetch_document(), indent=1)
        self.fetched = host_command(
            f"{name}-fetch", host, "fetch", document, parent=self, depends_on=after, timeout="60m"
        )
        self.register_outputs({})
