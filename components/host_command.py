"""One verb of the host agent, run on the services host over SSH.

Owns how every such command is run: the pinned connection, the document on stdin, and the services domain's identity
as its only trigger, so that a rebuilt host gets everything again. Does not own the agent or the documents.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from cluster import limits

AGENT = "/usr/local/sbin/okd-host"
RESULT = "result: "


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
    takes: float = limits.DELIVERY.seconds,
    triggers: Sequence[pulumi.Input[str]] = (),
    prints_secrets: bool = False,
    undone_by: str | None = None,
    undo_takes: float = limits.DELIVERY.seconds,
    gone_with: pulumi.Resource | None = None,
    formerly: pulumi.Alias | None = None,
) -> remote.Command:
    """Run `okd-host <verb>` with `document` on stdin; runs again when the document, a trigger or the host changes.

    `verb` and `triggers` are not secret; a secret document must be a secret Output. `takes` and `undo_takes` are
    seconds after which the verb has ended by itself, in words that say more than the engine's. What a
    command with `prints_secrets` prints is shown nowhere and kept as a secret. `undone_by` is a verb that gets the same
    document when the command's resource is deleted, unless `gone_with` is deleted in the same update; `formerly` says
    where in the stack an earlier version of this program had the command.
    """
    return remote.Command(
        name,
        connection=host.connection,
        create=f"sudo {AGENT} {verb}",
        delete=f"sudo {AGENT} {undone_by}" if undone_by else None,
        # The first line keeps the document from being JSON or YAML, which a preview's diff would compare by position:
        # text is compared line by line.
        stdin=pulumi.Output.concat(f"@okd-host {verb}\n", document),
        triggers=[host.identity, *triggers],
        logging=remote.Logging.NONE if prints_secrets else None,
        # The engine would otherwise put the last run's output into this run's environment, which sshd refuses.
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(depends_on),
            additional_secret_outputs=["stdout", "stderr"] if prints_secrets else None,
            delete_before_replace=True if undone_by else None,
            deleted_with=gone_with,
            aliases=[formerly] if formerly else None,
            custom_timeouts=ended_within(takes, undo_takes),
        ),
    )


def ended_within(seconds: float, undo_seconds: float | None = None) -> pulumi.CustomTimeouts:
    """The engine's own limits around work that ends by itself after so many seconds."""
    does, undoes = (f"{one + limits.GRACE.seconds:.0f}s" for one in (seconds, undo_seconds or seconds))
    return pulumi.CustomTimeouts(create=does, update=does, delete=undoes)


def result(command: remote.Command) -> pulumi.Output[dict[str, Any]]:
    """What a verb reports back, in the last line it prints."""
    return command.stdout.apply(_result)


def _result(printed: str) -> dict[str, Any]:
    lines = printed.rstrip().splitlines()
    if not lines or not lines[-1].startswith(RESULT):
        raise pulumi.RunError(f"the host agent reported no result; its last words: {lines[-1] if lines else 'none'}")
    found: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    return found
