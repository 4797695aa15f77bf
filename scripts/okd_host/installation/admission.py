"""Letting machines in while something is waited for: their certificate requests, round after round.

Owns what is remembered and said of requests over a wait. Does not own which of them are approved (approver.py).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from okd_host import report
from okd_host.installation import approver, declare, leases
from okd_host.installation.api import Api
from okd_host.installation.rows import Row

KINDS = {"client": "its client certificate is approved", "serving": "both certificates are approved"}


class Admission:
    """The requests of `machines`; those of other declared machines are none of this wait's business.

    `pulse` is what the nodes' leases told over the wait.
    """

    def __init__(self, machines: Collection[Row]) -> None:
        self._names = {row.name for row in machines}
        self._declared = {row.fqdn: row for row in [*(declare.read() or []), *machines]}.values()
        self._approved: dict[str, str] = {}
        self._left: dict[str, approver.Left] = {}
        self.pulse = leases.Pulse()

    def approve(self, api: Api) -> None:
        """Approve what is pending and right; say what is new. Raises Silent or Refused."""
        found = approver.approve(api, self._declared, self.pulse, only=self._names)
        for one in found.approved:
            self._approved[one.machine] = one.kind
            report.say(f"  approved {one.name}: the {one.kind} certificate of {one.machine}")
        known, self._left = self._left, {one.name: one for one in found.left}
        for name, left in self._left.items():
            if known.get(name) != left:
                report.say(f"  left {name} of {left.requester}: {left.reason}")

    def state(self, row: Row) -> str:
        """What was approved of a machine; empty when nothing was."""
        return KINDS.get(self._approved.get(row.name, ""), "")

    def left(self) -> list[dict[str, Any]]:
        """The requests that were left in the last round, for a result."""
        return [one.document() for one in self._left.values()]

    def reasons(self) -> list[str]:
        """The same for a reader."""
        return [f"left {one.name} of {one.requester}: {one.reason}" for one in self._left.values()]
