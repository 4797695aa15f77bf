"""One verb of the host agent, run on the services host over SSH.

Owns how every such command is run: the pinned connection, the document on stdin, and the services domain's identity
as its only trigger, so that a rebuilt host gets everything again. Does not own the agent or the documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

AGENT = "/usr/local/sbin/okd-host"


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """The services host: how to reach it, and `identity`, which changes when everything has to run again."""

    connection: remote.ConnectionArgs
    identity: pulumi.Input[str]


def host_command(
    name: str,
    host: Host,
    verb: str,
    document: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
    timeout: str = "15m",
) -> remote.Command:
    """Run `okd-host <verb>` with `document` on stdin; runs again when the document or the host changes.

    `verb` is not secret; a secret document must be a secret Output. `timeout` is a Go duration.
    """
    return remote.Command(
        name,
        connection=host.connection,
        create=f"sudo {AGENT} {verb}",
        # The first line keeps the document from being JSON or YAML, which a preview's diff would compare by position:
        # text is compared line by line.
        stdin=pulumi.Output.concat(f"@okd-host {verb}\n", document),
        triggers=[host.identity],
        # The engine would otherwise put the last run's output into this run's environment, which sshd refuses.
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(depends_on),
            custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout),
        ),
    )
