"""One machine's boot from the network, watched from the services host.

Owns the wait for what the machine asked for (lease, boot file, kernel, initramfs) and, where the boot image reports
back, the comparison of what it got with the machine table. Does not own the machine.
"""

from __future__ import annotations

import json
from typing import Any

import pulumi

from cluster.plan import Plan
from components.host_command import Host, host_command
from components.machine import Machine


class NetworkBoot(pulumi.ComponentResource):
    """`report` is the table of what the machine got, as text."""

    report: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        plan: Plan,
        host: Host,
        machine: Machine,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("okd:index:NetworkBoot", name, None, opts)

        def document(known: str) -> str:
            expected: dict[str, Any] = plan.network_boot(machine.row) | {"uuid": known}
            return json.dumps(expected, indent=1)

        # The machine's identity, not the services host's: a rebuilt services host makes no machine boot again.
        watched = Host(connection=host.connection, identity=machine.uuid)
        watch = host_command(
            f"{name}-watch", watched, "await-boot", machine.uuid.apply(document), parent=self, timeout="20m"
        )
        self.report = watch.stdout
        self.register_outputs({"report": self.report})
