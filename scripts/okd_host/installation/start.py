"""cluster-start: the whole cluster back, once its machines are switched on.

Document: {"api": {"url", "address"}, "machines": [rows], "limitMinutes"}.

Stages: api, nodes (every machine Ready; the certificate requests of declared machines, and of no other, are approved),
uncordon (what cluster-stop has cordoned). May be run again at any time, also when nothing was stopped.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from okd_host import files, limits, report
from okd_host.installation import nodes, power, shell, waiting
from okd_host.installation.admission import Admission
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.rows import read

STAGES = ("api", "nodes", "uncordon")


class Start:
    """A start of the cluster; `late` is why each machine is not Ready, by name."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.machines = document, read(document["machines"])
        self.admission = Admission(self.machines)
        self.late = {row.name: "the API has not answered" for row in self.machines}
        self.back: list[str] = []

    def answers(self) -> tuple[bool, str]:
        """Whether the API answers well."""
        api, why = power.ask(self.document["api"])
        return api is not None, why or f"{self.document['api']['url']} answers"

    def ready(self) -> tuple[bool, str]:
        """Whether every machine is Ready."""
        try:
            api = Api.of(self.document["api"], limit=limits.API_REQUEST.seconds)
            self.admission.approve(api)
            known = self.admission.pulse.nodes(api)
            found = {row.name: self._why_late(known.get(row.fqdn)) for row in self.machines}
        except (Silent, Refused) as error:
            return False, f"the API does not answer well: {error}"
        self.late = {name: why for name, why in found.items() if why}
        count = f"{len(self.machines) - len(self.late)} of {len(self.machines)} Ready"
        return not self.late, "; ".join([count, *(f"{name}: {why}" for name, why in self.late.items())])

    def _why_late(self, node: dict[str, Any] | None) -> str:
        if node is None:
            return "has no Node"
        pulse = self.admission.pulse
        reads_ready = nodes.condition(node, "Ready").get("status") == "True"
        if reads_ready and not nodes.ready(node):
            # Of the boot that was to be stopped: it counts only where it never was, and is seen to live.
            return "" if pulse.beats(nodes.name(node)) else "has not reported since it was to be stopped"
        return "" if pulse.ready(node) else pulse.why_not_ready(node)

    def uncordon(self) -> tuple[bool, str]:
        """Whether everything that a stop has cordoned takes pods again."""
        try:
            api = Api.of(self.document["api"], limit=limits.API_REQUEST.seconds)
            for name, node in power.by_fqdn(api).items():
                if power.stopping(node) and nodes.uncordon(api, node):
                    self.back.append(name)
        except (Silent, Refused) as error:
            return False, f"the API does not answer well: {error}"
        return True, f"{len(self.back)} nodes take pods again"

    def failed(self, why: str) -> report.Failed:
        """The failure of a machine that does not come back."""
        row = next((row for row in self.machines if row.name in self.late), self.machines[0])
        return report.Failed(
            f"the cluster does not come back, {why}",
            message="\n".join([*(f"{name}: {text}" for name, text in self.late.items()), shell.last_line(row)]),
            in_service="the services; machines that are Ready are at work",
            remedy=f"see that {', '.join(self.late) or 'all machines'} run at the libvirt host (virsh list --all) and "
            "their console logs, then run this again",
        )


def main(arguments: list[str], document: Any) -> None:
    """Wait for the cluster of `document` to come back."""
    stages, run = report.Stages(STAGES), Start(document)
    limit = waiting.Limit(document["limitMinutes"])
    with files.lock("power", "cluster-start"):
        for name, look in (("api", run.answers), ("nodes", run.ready), ("uncordon", run.uncordon)):
            with stages(name) as stage:
                said = waiting.until(look, stages, limit, run.failed)
                stage.detail = said
        with suppress(FileNotFoundError):
            os.unlink(power.MARK)
    report.result({"ready": len(run.machines), "uncordoned": sorted(run.back), "left": run.admission.left()})
