"""The ignition configs, the cluster's first credentials, and how long they are good.

Owns one run of the real installer on the services host, the secrets it is given, and the question whether a set has
grown too old. Does not own the installer, the machines, nor what the host's guard decides: a set is never made again
once its cluster is up.
"""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random

from cluster import limits
from cluster.plan import Plan
from components import ignition_age
from components.host_command import Host, host_command, result
from components.host_secrets import host_secrets
from components.htpasswd_user import HtpasswdUser
from components.pki import Pki
from components.ssh_access import SshAccess


@dataclass(frozen=True, kw_only=True, slots=True)
class IgnitionConfigsArgs:
    """`release` is what the mirror reports: version, digest and the mirrored release's pull spec.

    `stored` completes once the host has its data volume, and with it a set that was made before.
    """

    plan: Plan
    host: Host
    stored: pulumi.Resource
    ssh: SshAccess
    pki: Pki
    registry_user: HtpasswdUser
    admin: HtpasswdUser
    release: pulumi.Output[dict[str, Any]]


class IgnitionConfigs(pulumi.ComponentResource):
    """`published` completes once all three files are served; `kubeconfig` and `kubeadmin_password` are secret."""

    published: pulumi.Resource
    expiry: pulumi.Output[str]
    digest: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    kubeadmin_password: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: IgnitionConfigsArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("okd:index:IgnitionConfigs", name, None, opts)
        # It goes with the stack; the data volume, with the set of ignition configs on it, may outlive it.
        identity = random.RandomUuid(f"{name}-cluster", opts=pulumi.ResourceOptions(parent=self))
        secrets = host_secrets(name, args.host, "release", _secrets(args), parent=self, depends_on=[args.stored])
        # Only a host that has its data volume can answer: a new one is not asked before.
        generation: pulumi.Output[str] = pulumi.Output.all(
            login_key=args.ssh.login_private_key, host_key=args.ssh.host_public_key, host=secrets.marker
        ).apply(lambda known: self._generation(args.plan, known["login_key"], known["host_key"]))

        text = pulumi.Output.all(
            release=args.release,
            ca_certificate=args.pki.ca_certificate,
            login_key=args.ssh.login_public_key,
            hashes=secrets.hashes,
            generation=pulumi.Output.unsecret(generation),
            cluster=identity.result,
        ).apply(lambda known: json.dumps(args.plan.ignition(**known), indent=1))
        made = host_command(
            f"{name}-set",
            args.host,
            "ignition",
            text,
            parent=self,
            depends_on=[*after, *secrets.kept],
            takes=2 * limits.INSTALLER.seconds,
        )
        self.published = made
        self.expiry = result(made).apply(lambda found: str(found["expiry"]))
        self.digest = result(made).apply(lambda found: str(found["digest"]))
        shown = host_command(
            f"{name}-credentials",
            args.host,
            "credentials",
            "{}",
            parent=self,
            depends_on=[made],
            triggers=[self.digest],
            prints_secrets=True,
        )
        credentials: pulumi.Output[dict[str, str]] = pulumi.Output.secret(shown.stdout.apply(json.loads))
        self.kubeconfig = credentials.apply(lambda known: known["kubeconfig"])
        self.kubeadmin_password = credentials.apply(lambda known: known["kubeadminPassword"])
        self.register_outputs({"expiry": self.expiry})

    @staticmethod
    async def _generation(plan: Plan, login_key: str, host_key: str) -> str:
        address = str(plan.settings.uplink.address)
        # Beside the engine's event loop, which everything else in the program waits for.
        return await asyncio.to_thread(ignition_age.generation, address, login_key, host_key, plan.ignition_status())


def _secrets(args: IgnitionConfigsArgs) -> dict[str, pulumi.Output[str]]:
    """Every secret that the installer is given on the host, by name."""
    texts = pulumi.Output.all(
        registry_password=args.registry_user.password,
        htpasswd=args.admin.htpasswd,
        certificate=args.pki.ingress.certificate,
        key=args.pki.ingress.key,
        ca_certificate=args.pki.ca_certificate,
    ).apply(lambda known: args.plan.ignition_secret_texts(**known))
    return {name: texts.apply(operator.itemgetter(name)) for name in args.plan.ignition_secrets}
