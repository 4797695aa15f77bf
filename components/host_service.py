"""One service of the services host, delivered as one bundle.

Owns the bundle's delivery: staged, checked by the daemon's own parser, swapped in, reloaded and health-checked by the
host agent, which puts the old files back when any of that fails. Secret files travel apart from the bundle and the
bundle carries only their SHA-256, so that the preview can show the changed lines of everything else. Does not own
what is in the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from cluster.host_files import Bundle, dump
from components.host_command import Host, host_command


@dataclass(frozen=True, kw_only=True, slots=True)
class HostServiceArgs:
    """`values` holds what the bundle's files name by `value`: text known only when the stack is built."""

    bundle: Bundle
    host: Host
    values: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)


class HostService(pulumi.ComponentResource):
    """A running service; `delivered` completes once the daemon serves the bundle and is healthy.

    `digest` is the SHA-256 (hex) of the bundle's document, for whoever must act when the service changed.
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
    ) -> None:
        super().__init__("okd:index:HostService", name, None, opts)
        bundle = args.bundle
        secrets = {file.value: args.values[file.value] for file in bundle.files if file.value and file.secret}
        before = list(after)
        if secrets:
            document: pulumi.Output[str] = pulumi.Output.secret(pulumi.Output.all(**secrets).apply(json.dumps))
            before.append(
                host_command(
                    f"{name}-secrets",
                    args.host,
                    f"secrets {bundle.service}",
                    document,
                    parent=self,
                    depends_on=after,
                )
            )
        plain = {file.value: args.values[file.value] for file in bundle.files if file.value and not file.secret}
        # The hash of a 4096-bit key or of a salted bcrypt line tells nothing about it: it may be shown.
        hashes = {
            key: pulumi.Output.unsecret(value.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()))
            for key, value in secrets.items()
        }
        text = pulumi.Output.all(plain=plain, hashes=hashes).apply(
            lambda known: dump(bundle.document(known["plain"], known["hashes"]))
        )
        self.delivered = host_command(f"{name}-bundle", args.host, "deliver", text, parent=self, depends_on=before)
        self.digest = text.apply(lambda document: hashlib.sha256(document.encode()).hexdigest())
        self.register_outputs({"digest": self.digest})
