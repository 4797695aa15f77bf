"""await-bootstrap: from the power-on of bootstrap and control plane to a control plane that does without the bootstrap.

Document: {"api": {"url", "address"}, "bootstrap": boot document, "controlPlane": [boot documents], "machineConfig":
{"port"}, "limits": {"bootMinutes", "apiMinutes", "bootstrapMinutes"}, "consoleLogs": {machine: path on the libvirt
host}}. A boot document is that of `okd_host.boot_logs`.

Stages: boot (every machine to its ignition config), api (the bootstrap's answers through the load balancer), control
plane (every machine of it Ready; the certificate requests of these machines, and of no other, are approved), complete
(the bootstrap says that it is done). Says every ten seconds what each machine is at. A failure after the boot gathers
logs to a file. Ends at once when the bootstrap is known to be complete; may be run again at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from okd_host import files, limits, report
from okd_host.ignition import INSTALL
from okd_host.ignition.certificates import moment
from okd_host.installation import gather, nodes, shell
from okd_host.installation.admission import Admission
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.boots import Boot
from okd_host.installation.rows import Row, read
from okd_host.installation.waiting import Limit, until

STAGES = ("boot", "api", "control plane", "complete")
STATUS = "/api/v1/namespaces/kube-system/configmaps/bootstrap"
# Kept with the set, which is the cluster's: with another set there is another bootstrap.
MARK = f"{INSTALL}/bootstrap-complete"


def _complete(api: Api) -> bool:
    """Whether the bootstrap has said that the control plane does without it."""
    said = api.find(STATUS) or {}
    return bool((said.get("data") or {}).get("status") == "complete")


def _known(document: dict[str, Any]) -> str:
    """Since when the bootstrap is known to be complete; empty when it is not."""
    with suppress(FileNotFoundError), open(MARK) as file:
        return file.read().strip()
    with suppress(Silent, Refused):
        if _complete(Api.of(document["api"], limit=limits.API_REQUEST.seconds)):
            return _note()
    return ""


def _note() -> str:
    at = moment(time.time())
    files.write_now(MARK, f"{at}\n".encode(), mode=0o600)
    return at


class Run:
    """One run of the verb over its document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.stages = document, report.Stages(STAGES)
        everything = [document["bootstrap"], *document["controlPlane"]]
        self.boots = {one["name"]: Boot(one) for one in everything}
        self.bootstrap, *self.control_plane = read(everything)
        self.admission = Admission(self.control_plane)
        self.at: dict[str, str] = {}
        self._api: Api | None = None

    def api(self) -> Api:
        """The API through the load balancer. Raises Silent when there are no credentials."""
        if self._api is None:
            self._api = Api.of(self.document["api"], limit=limits.API_REQUEST.seconds)
        return self._api

    def boot(self) -> str:
        """Every machine gets to its ignition config, with everything that it must get on the way."""

        def look() -> tuple[bool, str]:
            seen = {name: boot.look() for name, boot in self.boots.items()}
            self.at = {name: one.stage for name, one in seen.items() if not one.done}
            return not self.at, ", ".join(
                f"{name}: {'booted' if one.done else one.stage}" for name, one in seen.items()
            )

        until(look, self.stages, Limit(self.document["limits"]["bootMinutes"]), self._not_booted)
        found = {name: boot.problems() for name, boot in self.boots.items()}
        rows = [
            (name, boot.document["address"], boot.look().detail, "; ".join(found[name]) or "ok")
            for name, boot in self.boots.items()
        ]
        report.say(report.table(("machine", "address", "boot", "result"), rows))
        if any(found.values()):
            raise report.Failed(
                f"{', '.join(name for name, rest in found.items() if rest)} booted, but did not get everything",
                message="\n".join(f"{name}: {one}" for name, rest in found.items() for one in rest),
                in_service="all services; the machines keep running",
                remedy="compare with the smoke check's table, correct the service that hands this out, then run again",
            )
        return f"{len(rows)} machines have taken their ignition configs"

    def await_api(self) -> str:
        """The API answers through the load balancer."""

        def look() -> tuple[bool, str]:
            try:
                self.api().get("/readyz")
            except (Silent, Refused) as error:
                return False, f"the API does not answer well yet: {error}"
            return True, f"{self.document['api']['url']} answers"

        return until(look, self.stages, Limit(self.document["limits"]["apiMinutes"]), self._bootstrap_late)

    def await_control_plane(self, limit: Limit) -> str:
        """Every machine of the control plane is Ready."""

        def look() -> tuple[bool, str]:
            try:
                self.admission.approve(self.api())
                known = self.admission.pulse.nodes(self.api())
                self.at = {row.name: self._at(row, known.get(row.fqdn)) for row in self.control_plane}
            except (Silent, Refused) as error:
                return False, f"the API does not answer well: {error}"
            ready = [name for name, at in self.at.items() if at == "Ready"]
            count = f"{len(ready)} of {len(self.at)} Ready"
            rest = "; ".join(f"{name}: {at}" for name, at in self.at.items() if at != "Ready")
            return len(ready) == len(self.at), f"{count}; {rest}" if rest else count

        return until(look, self.stages, limit, self._nodes_late)

    def await_complete(self, limit: Limit) -> str:
        """The bootstrap says that it is done."""

        def look() -> tuple[bool, str]:
            try:
                done = _complete(self.api())
            except (Silent, Refused) as error:
                return False, f"the API does not answer well: {error}"
            return done, "the control plane does without the bootstrap" if done else "the bootstrap still has work"

        return until(look, self.stages, limit, self._bootstrap_late)

    def _at(self, row: Row, node: dict[str, Any] | None) -> str:
        if node is None:
            return self.admission.state(row) or "waits for its machine config"
        if row.uuid and nodes.uuid(node) not in ("", row.uuid):
            return "its Node is still that of another machine"
        pulse = self.admission.pulse
        if pulse.ready(node):
            return "Ready"
        return f"{self.admission.state(row) or 'joining'} ({pulse.why_not_ready(node)})"

    def _console(self, name: str) -> str:
        path = self.document.get("consoleLogs", {}).get(name)
        return f"its console log on the libvirt host is {path}" if path else "look at its console log"

    def _not_booted(self, why: str) -> report.Failed:
        late = next(iter(self.at))
        return report.Failed(
            f"{late} did not get to the stage {self.at[late]}, {why}",
            message="\n".join(f"{name}: {self.boots[name].last_word()}" for name in self.at),
            in_service="all services; the machines keep running and may still get there",
            remedy=f"{self._console(late)}; correct the cause, restart the machine, then run the update again",
        )

    def _bootstrap_late(self, why: str) -> report.Failed:
        row = self.bootstrap
        return report.Failed(
            f"{row.name} has not done its part, {why}",
            message="\n".join(shell.last_line(row, unit) for unit in ("release-image", "bootkube")),
            in_service="all services; the machines keep running",
            remedy=f"see `journalctl -u release-image -u bootkube` on it (ssh core@{row.address}); "
            f"{self._console(row.name)}; {self._gathered()}; correct the cause, then run the update again",
        )

    def _nodes_late(self, why: str) -> report.Failed:
        late = next((row for row in self.control_plane if self.at.get(row.name) != "Ready"), self.control_plane[0])
        lines = [shell.last_line(late, "kubelet"), *self.admission.reasons()]
        return report.Failed(
            f"{late.name} is not Ready, {why}",
            message="\n".join(lines),
            in_service="all services; the machines keep running and may still get there",
            remedy=f"see `journalctl -u kubelet` on it (ssh core@{late.address}); {self._console(late.name)}; "
            f"{self._gathered()}; correct the cause, then run the update again",
        )

    def _gathered(self) -> str:
        boot = self.document["bootstrap"]
        return gather.for_failure(self.document["api"], [self.bootstrap, *self.control_plane], boot)


def _follow(run: Run, steps: Sequence[tuple[str, Callable[[], str]]]) -> None:
    for name, step in steps:
        with run.stages(name) as stage:
            said = step()
            stage.detail = said


def main(arguments: list[str], document: Any) -> None:
    """Wait until the control plane of `document` does without its bootstrap.

    Without a lock, since two waits do no harm: one whose connection was cut goes on to its limit.
    """
    at = _known(document)
    if at:
        report.say(f"the bootstrap is complete since {at}")
    else:
        run = Run(document)
        _follow(run, [("boot", run.boot), ("api", run.await_api)])
        limit = Limit(document["limits"]["bootstrapMinutes"])
        _follow(
            run,
            [
                ("control plane", lambda: run.await_control_plane(limit)),
                ("complete", lambda: run.await_complete(limit)),
            ],
        )
        at = _note()
    report.result({"complete": True, "at": at})
