"""The smoke check: is everything that a machine needs served on the cluster network?

Owns one run of the host agent's smoke check from inside the cluster network, before any machine boots; it runs again
when the plan or any service changed. Does not repair anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from cluster.plan import Plan
from components.host_command import Host, host_command


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeCheckArgs:
    """`service_digests` by service name: a changed service is checked again."""

    plan: Plan
    host: Host
    registry_password: pulumi.Output[str]
    ca_certificate: pulumi.Output[str]
    service_digests: Mapping[str, pulumi.Output[str]]


class SmokeCheck(pulumi.ComponentResource):
    """`passed` completes when every line of the table is green, else the update fails and shows the table."""

    passed: pulumi.Resource

    def __init__(
        self,
        name: str,
        args: SmokeCheckArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("okd:index:SmokeCheck", name, None, opts)

        def document(late: dict[str, Any]) -> str:
            expected = args.plan.smoke()
            expected["registry"] |= {"password": late["password"], "ca": late["ca"]}
            return json.dumps(expected | {"services_delivered": late["digests"]}, indent=1)

        late = pulumi.Output.all(
            password=args.registry_password, ca=args.ca_certificate, digests=dict(args.service_digests)
        )
        self.passed = host_command(
            f"{name}-run",
            args.host,
            "smoke",
            pulumi.Output.secret(late.apply(document)),
            parent=self,
            depends_on=after,
        )
        self.register_outputs({})
