"""Secrets on their way to the services host.

Owns how a secret travels: on stdin of a command of its own, so that the documents which use it can be shown with its
SHA-256 in its place. Does not own what is done with it there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.host_command import Host, host_command


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSecrets:
    """`kept` completes once the host has the secrets; `hashes` holds the SHA-256 (hex) of each by its name.

    `marker` says nothing and is known from then on.
    """

    kept: list[pulumi.Resource]
    marker: pulumi.Output[str]
    hashes: dict[str, pulumi.Output[str]]


def host_secrets(
    name: str,
    host: Host,
    owner: str,
    secrets: Mapping[str, pulumi.Output[str]],
    *,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
) -> HostSecrets:
    """Keep `secrets` by name on the host for `owner`, a service or a verb. Without secrets there is no command."""
    if not secrets:
        return HostSecrets(kept=list(depends_on), marker=pulumi.Output.from_input(""), hashes={})
    document: pulumi.Output[str] = pulumi.Output.secret(pulumi.Output.all(**secrets).apply(json.dumps))
    kept = host_command(f"{name}-secrets", host, f"secrets {owner}", document, parent=parent, depends_on=depends_on)
    # The hash of a 4096-bit key, of a salted bcrypt line or of a 64-character password tells nothing about it.
    hashes = {
        key: pulumi.Output.unsecret(value.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()))
        for key, value in secrets.items()
    }
    return HostSecrets(kept=[*depends_on, kept], marker=kept.id, hashes=hashes)
