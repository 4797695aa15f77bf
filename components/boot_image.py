"""The boot image (kernel, initramfs, rootfs) on the services host.

Owns its download over the uplink, its verification, and its place under the HTTP root. Which image that is, the
release's installer says, unless the settings do. Does not own the boot profiles that name it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from cluster import limits
from cluster.plan import Plan
from components.host_command import Host, host_command, result
from components.mirror import Mirror


class BootImage(pulumi.ComponentResource):
    """`fetched` completes once every file is in place with the right SHA-256; `digests` holds these by name."""

    fetched: pulumi.Resource
    digests: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        plan: Plan,
        host: Host,
        mirror: Mirror,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("okd:index:BootImage", name, None, opts)

        def text(known: Mapping[str, Any]) -> str:
            return json.dumps(plan.boot_image(known["release"], known["hashes"]), indent=1)

        document = pulumi.Output.all(release=mirror.release, hashes=mirror.hashes).apply(text)
        fetched = host_command(
            f"{name}-fetch", host, "boot-image", document, parent=self, depends_on=after, takes=limits.MIRROR.seconds
        )
        self.fetched = fetched
        self.digests = result(fetched)
        self.register_outputs({"digests": self.digests})
