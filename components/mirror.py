"""The release in the mirror registry, and the tools that belong to it.

Owns the first `oc` on the services host, the pull secret that the mirror is made with, the mirroring itself, and `oc`
and `openshift-install` out of the mirrored release. Does not own the registry, nor the boot image and the ignition
configs that are made with the tools.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from cluster import limits, pull_secret
from cluster.plan import Plan
from components.host_command import Host, host_command, result
from components.host_secrets import host_secrets
from components.htpasswd_user import HtpasswdUser


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorArgs:
    """What is mirrored (the plan's release settings) and who may write to the registry.

    `agent` completes once the host takes commands, `served` once its services run.
    """

    plan: Plan
    host: Host
    agent: pulumi.Resource
    served: Sequence[pulumi.Resource]
    registry_user: HtpasswdUser


class Mirror(pulumi.ComponentResource):
    """`release` is what was mirrored and verified: version, digest, and its pull spec in the mirror registry.

    `tools` completes once `oc` and `openshift-install` of that very release are on the services host. `hashes` are
    SHA-256 (hex) of the secrets that the host keeps for all downloads, by their names.
    """

    release: pulumi.Output[dict[str, Any]]
    hashes: dict[str, pulumi.Output[str]]
    tools: pulumi.Resource

    def __init__(
        self,
        name: str,
        args: MirrorArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """The first `oc` comes once `args.served` are, beside their check; the release is mirrored `after` that."""
        super().__init__("okd:index:Mirror", name, None, opts)
        plan, host = args.plan, args.host
        merged = args.registry_user.password.apply(
            lambda password: pull_secret.merged(plan, args.registry_user.user, password)
        )
        secrets = host_secrets(
            name, host, "release", {pull_secret.MERGED: merged}, parent=self, depends_on=[args.agent]
        )
        self.hashes = secrets.hashes
        client = host_command(
            f"{name}-client",
            host,
            "fetch",
            pulumi.Output.all(**secrets.hashes).apply(lambda hashes: json.dumps(plan.client_fetch(hashes), indent=1)),
            parent=self,
            depends_on=[*args.served, *secrets.kept],
            takes=limits.MIRROR.seconds,
        )
        mirrored = host_command(
            f"{name}-release",
            host,
            "mirror",
            pulumi.Output.all(**secrets.hashes).apply(lambda hashes: json.dumps(plan.mirror(hashes), indent=1)),
            parent=self,
            depends_on=[client, *after],
            takes=limits.MIRROR.seconds,
        )
        self.release = result(mirrored)

        def tools(known: Mapping[str, Any]) -> str:
            return json.dumps(plan.tools(known["release"], known["hashes"]), indent=1)

        self.tools = host_command(
            f"{name}-tools",
            host,
            "tools",
            pulumi.Output.all(release=self.release, hashes=secrets.hashes).apply(tools),
            parent=self,
            depends_on=[mirrored],
            takes=limits.TOOLS.seconds,
        )
        self.register_outputs({"release": self.release})
