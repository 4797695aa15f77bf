"""The installation: from published ignition configs to a cluster whose machines are all Ready.

Owns the order in which machines are made and waited for: bootstrap and control plane, the bootstrap's departure,
compute, the operators; and that machines which have joined are touched one at a time. Once an update saw the bootstrap
leave, the next declares nothing of it and so removes it. Does not own how a machine joins (member.py), nor what the
waits look for (scripts/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from cluster import ingress, installation
from cluster.before import BOOTSTRAPPED
from cluster.limits import DELIVERY, POWER_OFF
from cluster.machines import Machine as MachineRow
from cluster.plan import Plan
from components.host_command import Host, host_command, result
from components.host_secrets import host_secrets
from components.hypervisor import Hypervisor
from components.machine import Machine, MachineArgs
from components.member import joined
from components.network import Networks
from components.services_host import ServicesHost
from components.ssh_access import SshAccess

# The last command of an installation: while the state has it, a cluster stands.
COMPLETE = "installation-complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallationArgs:
    """`ignition_digest` changes with the published set of ignition configs; `release` is what the mirror reports."""

    plan: Plan
    hypervisor: Hypervisor
    networks: Networks
    services_host: ServicesHost
    ssh: SshAccess
    ignition_digest: pulumi.Output[str]
    release: pulumi.Output[dict[str, Any]]


class Installation(pulumi.ComponentResource):
    """`bootstrap` and `installation` tell the next update how far this one came; known once everything is Ready."""

    bootstrap: pulumi.Output[dict[str, Any]]
    installation: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        args: InstallationArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("okd:index:Installation", name, None, opts)
        self._name, self._args, self._plan = name, args, args.plan
        self._host = args.services_host.host
        self._secrets = host_secrets(
            name,
            self._host,
            "machines",
            {"login-key": args.ssh.login_private_key},
            parent=self,
            depends_on=[args.services_host.agent],
        ).kept
        declared = self._command("declared", "machines", installation.declared(self._plan), after=self._secrets)
        before = [declared, *after]
        if self._plan.bootstraps:
            control_plane, installed, departed = self._first(before)
        else:
            for row in self._plan.bootstrap_machines:
                self._machine(row, before)
            self.bootstrap = pulumi.Output.from_input({"state": BOOTSTRAPPED, "machine": False})
            control_plane = self._rolling(self._plan.of_role("control-plane"), before, made_after=before)
            installed, departed = [], before
        config = self._command(
            "compute-config",
            "worker-config",
            installation.compute_config(self._plan),
            after=departed,
            triggers=[args.ignition_digest],
        )
        # A first installation's compute machines boot beside the control plane, ask for their machine config until that
        # serves it, and join while the bootstrap leaves; later ones take the ignition configs that the cluster has by
        # then.
        compute = self._rolling(
            self._plan.of_role("compute"),
            installed or [config],
            control_plane[-1:],
            made_after=before if self._plan.bootstraps else [config],
        )
        complete = self._command(
            "complete",
            "await-install",
            self._completion(),
            after=[*control_plane, *compute, config, *before],
            minutes=self._plan.settings.install.limits.install_minutes,
        )
        rows = [row.output() for row in self._plan.members]
        told = {"installed": True, "machines": rows, "ingress": ingress.of(self._plan).pool}
        self.installation = result(complete).apply(lambda found: {**told, **found})
        self.register_outputs({"bootstrap": self.bootstrap, "installation": self.installation})

    def _first(
        self, after: Sequence[pulumi.Resource]
    ) -> tuple[list[pulumi.Resource], list[pulumi.Resource], list[pulumi.Resource]]:
        """Bootstrap and control plane, all at once.

        Who has joined, the control plane that does without the bootstrap, and the bootstrap's departure.
        """
        rows = (*self._plan.bootstrap_machines, *self._plan.of_role("control-plane"))
        machines = [self._machine(row, after) for row in rows]
        uuids: pulumi.Output[Mapping[str, str]] = pulumi.Output.all(
            **{machine.row.name: machine.uuid for machine in machines}
        )
        limits, identity = self._plan.settings.install.limits, machines[0].uuid
        complete = self._command(
            "bootstrap-complete",
            "await-bootstrap",
            uuids.apply(lambda known: installation.bootstrap(self._plan, known)),
            after=after,
            identity=identity,
            minutes=limits.boot_minutes + limits.api_minutes + limits.bootstrap_minutes,
        )
        departed = self._command(
            "bootstrap-departure",
            "bootstrap-leave",
            identity.apply(lambda known: installation.departure(self._plan, known)),
            after=[complete],
            identity=identity,
            minutes=installation.departure_minutes(self._plan) + (POWER_OFF.seconds + DELIVERY.seconds) / 60,
        )
        self.bootstrap = result(departed).apply(lambda _: {"state": BOOTSTRAPPED, "machine": True})
        members = [self._joined(machine, [complete]) for machine in machines if machine.row.role == "control-plane"]
        return members, [complete], [departed]

    def _rolling(
        self,
        rows: Sequence[MachineRow],
        after: Sequence[pulumi.Resource],
        behind: Sequence[pulumi.Resource] = (),
        *,
        made_after: Sequence[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        """New machines are made all at once; one that has joined waits for the one before it to be Ready again.

        They join `after`, and are made `made_after`.
        """
        members: list[pulumi.Resource] = []
        previous = list(behind)
        for row in rows:
            joined_before = row.name in self._plan.before.members
            waits = previous if joined_before else []
            members.append(self._joined(self._machine(row, [*made_after, *waits]), after))
            previous = members[-1:] if joined_before else previous
        return members

    def _completion(self) -> pulumi.Input[dict[str, Any]]:
        """What `await-install` reads; it waits for the mirror's report only where something of that belongs into it."""
        if not self._plan.settings.release.operator_catalogs:
            return installation.completion(self._plan, {})
        return self._args.release.apply(lambda known: installation.completion(self._plan, known))

    def _machine(self, row: MachineRow, after: Sequence[pulumi.Resource]) -> Machine:
        return Machine(
            row.name,
            MachineArgs(plan=self._plan, row=row, hypervisor=self._args.hypervisor, networks=self._args.networks),
            pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _joined(self, machine: Machine, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        return joined(self._plan, machine, self._args.services_host, [*after, *self._secrets])

    def _command(
        self,
        name: str,
        verb: str,
        document: pulumi.Input[dict[str, Any]],
        *,
        after: Sequence[pulumi.Resource],
        identity: pulumi.Output[str] | None = None,
        triggers: Sequence[pulumi.Input[str]] = (),
        minutes: float = DELIVERY.seconds / 60,
    ) -> remote.Command:
        host = self._host if identity is None else Host(connection=self._host.connection, identity=identity)
        text = pulumi.Output.from_input(document).apply(lambda known: json.dumps(known, indent=1))
        return host_command(
            f"{self._name}-{name}",
            host,
            verb,
            text,
            parent=self,
            depends_on=after,
            takes=minutes * 60,
            triggers=triggers,
        )
