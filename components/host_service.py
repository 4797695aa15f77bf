"""One service of the services host, delivered as one bundle.

Owns the bundle's delivery: staged, checked by the daemon's own parser, swapped in, reloaded and health-checked by the
host agent, which puts the old files back when any of that fails. Secret files travel apart from the bundle and the
bundle carries only their SHA-256, so that the preview can show the changed lines of everything else. Does not own
what is in the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from cluster.host_files import Bundle, dump
from components.host_command import Host, host_command
from components.host_secrets import host_secrets


@dataclass(frozen=True, kw_only=True, slots=True)
class HostServiceArgs:
    """`values` holds what the bundle's files name by `value`: text known only when the stack is built."""

    bundle: Bundle
    host: Host
    values: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)


class HostService(pulumi.ComponentResource):
    """A running service; `delivered` completes once the daemon serves the bundle and is healthy.

    `digest` is the SHA-256 (hex) of the bundle's document, for whoever must act when the service changed. The bundle is
    delivered `after` some resources, its secrets `secrets_after` others.
    """

    delivered: pulumi.Resource
    digest: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: HostServiceArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
        secrets_after: Sequence[pulumi.Resource] = (),
    ) -> None:
        super().__init__("okd:index:HostService", name, None, opts)
        bundle = args.bundle
        secrets = {file.value: args.values[file.value] for file in bundle.files if file.value and file.secret}
        sent = host_secrets(name, args.host, bundle.service, secrets, parent=self, depends_on=secrets_after)
        plain = {file.value: args.values[file.value] for file in bundle.files if file.value and not file.secret}
        text = pulumi.Output.all(plain=plain, hashes=sent.hashes).apply(
            lambda known: dump(bundle.document(known["plain"], known["hashes"]))
        )
        self.delivered = host_command(
            f"{name}-bundle", args.host, "deliver", text, parent=self, depends_on=[*after, *sent.kept]
        )
        self.digest = text.apply(lambda document: hashlib.sha256(document.encode()).hexdigest())
        self.register_outputs({"digest": self.digest})
