"""One machine's membership in the cluster.

Owns the wait until the machine is a Ready node, and its leave before the machine goes: cordoned, drained, shut down,
and no node any more when no machine of that name is declared. Does not own the machine. When the whole stack is
destroyed nothing is drained: there is nowhere to go.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi

from cluster import installation
from cluster.limits import ETCD, POWER_OFF
from cluster.plan import Plan
from components.host_command import Host, host_command
from components.machine import Machine
from components.services_host import ServicesHost


def joined(
    plan: Plan, machine: Machine, services_host: ServicesHost, after: Sequence[pulumi.Resource]
) -> pulumi.Resource:
    """The command that completes once the machine is Ready; one that is made anew leaves first and joins again."""
    limits = plan.settings.install.limits

    def document(uuid: str) -> str:
        return json.dumps(installation.membership(plan, machine.row, uuid), indent=1)

    name = machine.row.name
    stack = f"{pulumi.get_stack()}::{pulumi.get_project()}"
    # Deleted there and made here, every machine of the cluster would leave it.
    component = f"urn:pulumi:{stack}::okd:index:Installation$okd:index:Member::{name}-member"
    # Etcd's word is waited for.
    spared = ETCD.seconds if machine.row.role == "control-plane" else 0.0
    # The machine's identity, not the services host's: a rebuilt services host makes nobody leave and join.
    watched = Host(connection=services_host.host.connection, identity=machine.uuid)
    return host_command(
        f"{name}-join",
        watched,
        "node-join",
        machine.uuid.apply(document),
        parent=machine,
        depends_on=after,
        takes=limits.node_minutes * 60,
        undone_by="node-leave",
        undo_takes=limits.drain_minutes * 60 + spared + POWER_OFF.seconds,
        gone_with=services_host.domain,
        formerly=pulumi.Alias(parent=component),
    )
