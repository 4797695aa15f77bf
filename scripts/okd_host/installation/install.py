"""await-install: from Ready machines to a cluster whose operators are all Available.

Document: {"api": {"url", "address"}, "machines": [rows], "limitMinutes", "operatorHub": {"disableAllDefaultSources"} or
null, optional "ingress": {"pool", "nodePlacement", "replicas"}, optional "resources": [objects of operator catalogs]}.

Stages: nodes (every machine Ready), operators (all Available), version (Available, and neither progressing nor
failing), ingress (its routers are where the settings say), operator hub (as the settings mean it, with the objects of
its own catalogs), requests (those that nobody should have made are reported and left), record (the set on this host is
the cluster's from now on). All the while the certificate requests of every declared machine, and of no other, are
approved: one may come after its machine was Ready. May be run again at any time; on an installed cluster it takes a few
requests.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from okd_host import limits, report
from okd_host.ignition import INSTALL, INSTALLED, guard
from okd_host.installation import declare, ingress, operators, resources, shell, waiting
from okd_host.installation.admission import Admission
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.rows import Row, read

STAGES = ("nodes", "operators", "version", "ingress", "operator hub", "requests", "record")
SERVICES = "all services and machines; the cluster keeps working on it"
Look = Callable[[], tuple[bool, str]]


class Run:
    """One run of the verb over its document; `late` is why the wait is not over, by machine or operator."""

    def __init__(self, document: dict[str, Any], stages: report.Stages) -> None:
        self.document, self.stages = document, stages
        self.machines = read(document["machines"])
        self.admission = Admission([*self.machines, *(declare.read() or [])])
        self.count, self.number = 0, ""
        self.late: dict[str, str] = {}
        self._api: Api | None = None
        self._limit = waiting.Limit(document["limitMinutes"])

    def wait(self, look: Look, fail: Callable[[str], report.Failed]) -> str:
        """Wait for the rest of the limit, which is one for all stages. The API may be silent meanwhile."""

        def answered() -> tuple[bool, str]:
            try:
                return look()
            except (Silent, Refused) as error:
                return False, f"the API does not answer well: {error}"

        return waiting.until(answered, self.stages, self._limit, fail)

    def api(self) -> Api:
        """The cluster's API. Raises Silent when there are no credentials."""
        if self._api is None:
            self._api = Api.of(self.document["api"], limit=limits.API_REQUEST.seconds)
        return self._api

    def nodes(self) -> tuple[bool, str]:
        """Whether every machine is Ready."""
        self.admission.approve(self.api())
        known = self.admission.pulse.nodes(self.api())
        self.late = {row.name: self._late(row, known.get(row.fqdn)) for row in self.machines}
        self.late = {name: why for name, why in self.late.items() if why}
        count = f"{len(self.machines) - len(self.late)} of {len(self.machines)} Ready"
        return not self.late, "; ".join([count, *(f"{name}: {why}" for name, why in self.late.items())])

    def _late(self, row: Row, node: dict[str, Any] | None) -> str:
        if node is None:
            return self.admission.state(row) or "has no Node yet"
        pulse = self.admission.pulse
        return "" if pulse.ready(node) else pulse.why_not_ready(node)

    def operators(self) -> tuple[bool, str]:
        """Whether every operator is Available."""
        self.admission.approve(self.api())
        found = operators.operators(self.api())
        self.count, self.late = found.total, found.unavailable
        said = [f"{found.available} of {found.total} Available"]
        said += [f"{name}: {why}" for name, why in found.unavailable.items()]
        said += [f"{name} is Degraded: {why}" for name, why in found.degraded.items()]
        return bool(found.total) and not found.unavailable, "; ".join(said)

    def version(self) -> tuple[bool, str]:
        """Whether the cluster says that it is what it should be."""
        self.admission.approve(self.api())
        found = operators.version(self.api())
        self.number = found.version
        self.late = {} if found.settled else {"ClusterVersion": found.message}
        return found.settled, f"{found.version}: {found.message}" if found.version else found.message

    def ingress(self) -> tuple[bool, str]:
        """Whether the routers are where the settings say."""
        self.admission.approve(self.api())
        done, said = ingress.placed(self.api(), self.document.get("ingress"))
        self.late = {} if done else {"ingress": said}
        return done, said

    def hub(self) -> tuple[bool, str]:
        """Whether the default catalog sources are as meant, and the cluster has its own catalogs."""
        asked, own = self.document.get("operatorHub"), self.document.get("resources")
        said = "left to the cluster"
        if asked is not None:
            said = operators.disable_sources(self.api(), bool(asked["disableAllDefaultSources"]))
        return True, f"{said}; own catalogs: {resources.ensure(self.api(), own)}" if own else said

    def nodes_late(self, why: str) -> report.Failed:
        """The failure of a machine that does not become Ready."""
        late = next((row for row in self.machines if row.name in self.late), None)
        lines = [shell.last_line(late, "kubelet")] if late else []
        where = f"see `journalctl -u kubelet` on {late.name} (ssh core@{late.address})" if late else "see the API"
        return report.Failed(
            f"not every machine is Ready, {why}",
            message="\n".join([*(f"{name}: {said}" for name, said in self.late.items()), *lines]),
            in_service=SERVICES,
            remedy=f"{where} and its console log, correct the cause, then run the update again",
        )

    def operators_late(self, why: str) -> report.Failed:
        """The failure of operators that do not become Available, or of their version."""
        return report.Failed(
            f"the cluster is not installed yet, {why}",
            message="\n".join(f"{name}: {said}" for name, said in self.late.items()),
            in_service=SERVICES,
            remedy="see `oc get clusteroperators` and `oc describe clusteroperator NAME`, correct the cause, then run "
            "the update again; give the wait more minutes in the settings where the cluster is merely slow",
        )

    def catalogs_late(self, why: str) -> report.Failed:
        """The failure of operator catalogs that the API does not take."""
        return report.Failed(
            f"the cluster does not take what is meant for its operator catalogs, {why}",
            in_service="the cluster and every operator of it",
            remedy="see above what the API says, and `oc get catalogsources -A`; correct the cause, then run the "
            "update again",
        )

    def record(self) -> str:
        """Since when the cluster is known to be installed."""
        path = f"{INSTALL}/{INSTALLED}"
        if not os.path.exists(path):
            guard.note_installed()
        with open(path) as file:
            return file.read().strip()


def _step(run: Run, name: str, look: Look, fail: Callable[[str], report.Failed]) -> None:
    with run.stages(name) as stage:
        said = run.wait(look, fail)
        stage.detail = said


def main(arguments: list[str], document: Any) -> None:
    """Wait until the cluster of `document` is installed.

    Without a lock, since two waits do no harm: one whose connection was cut goes on to its limit.
    """
    stages = report.Stages(STAGES)
    run = Run(document, stages)
    _step(run, "nodes", run.nodes, run.nodes_late)
    _step(run, "operators", run.operators, run.operators_late)
    _step(run, "version", run.version, run.operators_late)
    _step(run, "ingress", run.ingress, run.operators_late)
    _step(run, "operator hub", run.hub, run.catalogs_late)
    with stages("requests"):
        left = run.admission.left()
        stages.detail = f"{len(left)} were left: see above" if left else "none were left"
    with stages("record"):
        at = run.record()
        stages.detail = f"installed since {at}"
    report.result({"version": run.number, "operators": run.count, "left": left, "installedAt": at})
