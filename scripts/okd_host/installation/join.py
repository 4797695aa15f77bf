"""node-join: wait until one machine is a Ready node, and let it in on its way.

Document: {"api": {"url", "address"}, "machine": boot document (see `okd_host.boot_logs`) with "fqdn", "role" and
"uuid", "limitMinutes": 30, "consoleLog": path on the libvirt host, "node": {"labels": {key: value}, "taints": [{"key",
"value", "effect"}], "pool": name of its MachineConfigPool}, without it what the kubelet says}.

Stages: boot (to its ignition config, with everything it must get on the way), machine config (fetched through the load
balancer), certificates (its own requests are approved, and nobody else's), ready (its Node is Ready on the machine with
this UUID, and takes pods again if it was cordoned for its leave), role (its Node has its labels and taints, and its
pool counts it), serving (its kubelet has the certificate that it serves with, whose request may come after all that).
A machine that is there already takes one request. May be run again at any time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from okd_host import boot_logs, limits, report
from okd_host.installation import boots, kubelet, nodes, roles, shell, waiting
from okd_host.installation.admission import Admission
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.boots import Boot
from okd_host.installation.rows import Row

STAGES = ("boot", "machine config", "certificates", "ready", "role", "serving")
LOAD_BALANCER = "haproxy.service"
LOG_LINES = 2000
REMEDIES = {
    boots.LEASE: "see that its domain runs and that its card is in the cluster network with the MAC of the table",
    boots.BOOT_FILE: "see that it boots from the network when its disk is empty, and that the boot server answers "
    "(okd-host smoke)",
    boots.KERNEL: "see that the boot image is published and that the HTTP server answers (okd-host smoke)",
    boots.INITRAMFS: "see that the boot image is published whole (okd-host boot-image)",
    boots.REPORT: "see on its console why the boot image does not come up",
    boots.ROOTFS: "see that it has memory enough for the boot image, and that the HTTP server answers",
    boots.IGNITION: "see that the ignition configs are published (okd-host ignition-status)",
    "machine config": "see on its console whether it was installed, started from its disk, took its ignition config "
    "and has the right time; and that the load balancer has a control-plane machine for machine config",
    "certificates": "approve by hand (oc adm certificate approve) what is its own and was left; where nothing was "
    "asked for, see its journal for the kubelet's and the clock's words",
    "ready": "see what its Node and its journal say (oc describe node); correct the cause",
    "role": "see what its Node and its pool say (oc get node, oc describe machineconfigpool); correct the cause",
    "serving": "see its requests (oc get csr) and its journal for the kubelet's words; approve by hand what is its own "
    "and was left",
}


class Join:
    """One run of the verb over its document; `step` is the stage in the finest words that are known."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.machine = document, document["machine"]
        self.row = Row.of(self.machine)
        self.boot = Boot(self.machine)
        self.admission = Admission([self.row])
        self.stages = report.Stages(STAGES)
        self.limit = waiting.Limit(document["limitMinutes"])
        self.wanted = roles.Wanted.of(document.get("node"))
        self.node: dict[str, Any] | None = None
        self.trouble = ""
        self.step = ""
        self._api: Api | None = None

    def api(self) -> Api:
        """The cluster's API. Raises Silent when there are no credentials."""
        if self._api is None:
            self._api = Api.of(self.document["api"], limit=limits.API_REQUEST.seconds)
        return self._api

    def find(self) -> None:
        """Look for the machine's Node; one of another machine with its name does not count."""
        self.trouble = ""
        try:
            node = nodes.find(self.api(), self.row.fqdn)
            self.admission.pulse.look(self.api(), self.row.fqdn)
        except (Silent, Refused) as error:
            self.trouble = f"the API does not answer well: {error}"
            return
        self.node = node if node and nodes.uuid(node) == self.row.uuid else None

    @property
    def ready(self) -> bool:
        """Whether its Node was Ready when it was looked for last."""
        return bool(self.node and self.admission.pulse.ready(self.node))

    @property
    def asked(self) -> bool:
        """Whether it got far enough to ask for a certificate."""
        return bool(self.node or self.admission.state(self.row))

    def welcome(self) -> None:
        """Let it in, and look for its Node."""
        try:
            self.admission.approve(self.api())
        except (Silent, Refused) as error:
            self.trouble = f"the API does not answer well: {error}"
            return
        self.find()
        if self.node:
            # Before anything else runs there; what does not succeed is told at its own stage.
            with suppress(Silent, Refused):
                self.node = roles.settle(self.api(), self.node, self.wanted)

    def booted(self) -> tuple[bool, str]:
        """Whether it has got to its ignition config, or further."""
        self.welcome()
        seen = self.boot.look()
        self.step = seen.stage
        if not seen.done and self.asked:
            return True, "it has asked for its certificates already"
        if not seen.done:
            return False, f"{self.row.name}: {seen.stage} (so far: {seen.detail})"
        if problems := self.boot.problems():
            raise report.Failed(
                f"{self.row.name} booted, but did not get everything it must get",
                message="\n".join(problems),
                in_service="all services; the machine keeps running",
                remedy="compare with the smoke check's table, correct the service that hands this out, then run again; "
                + self._console(),
            )
        report.say(self.boot.table())
        return True, seen.detail

    def configured(self) -> tuple[bool, str]:
        """Whether it has fetched its machine config, or got further."""
        self.step = STAGES[1]
        self.welcome()
        if self.asked:
            return True, "it has asked for its certificates already"
        served = [one for one in self._sessions() if "<NOSRV>" not in one]
        if served:
            return True, f"from {served[-1]}"
        return False, self.trouble or f"{self.row.name} has not fetched its machine config yet"

    def admitted(self) -> tuple[bool, str]:
        """Whether it has the certificate that makes it a Node."""
        self.step = STAGES[2]
        self.welcome()
        if self.node:
            return True, self.admission.state(self.row) or "it has them from before"
        waits = self.admission.state(self.row) or f"{self.row.name} has not asked for its certificates yet"
        return False, self.trouble or waits

    def joined(self) -> tuple[bool, str]:
        """Whether its Node is Ready and takes pods, if it was us who stopped that."""
        self.step = STAGES[3]
        self.welcome()
        if self.trouble or not self.node or not self.ready:
            why = self.admission.pulse.why_not_ready(self.node) if self.node else "its Node is gone"
            return False, self.trouble or why
        try:
            return True, self.finish()
        except (Silent, Refused) as error:
            return False, f"it cannot be uncordoned: {error}"

    def finish(self) -> str:
        """Let a Node that is Ready take pods again. Raises Silent or Refused."""
        if self.node and nodes.leaving(self.node) and nodes.uncordon(self.api(), self.node):
            return f"{self.row.fqdn} is Ready and takes pods again"
        return f"{self.row.fqdn} is Ready"

    def belongs(self) -> tuple[bool, str]:
        """Whether its Node has what it is to be given, and its pool counts it."""
        self.step = STAGES[4]
        if not self.node:
            self.find()
        if not self.node:
            return False, self.trouble or "its Node is gone"
        try:
            self.node = roles.settle(self.api(), self.node, self.wanted)
            return roles.counted(self.api(), self.wanted)
        except (Silent, Refused) as error:
            self.node = None
            return False, f"its Node does not get its role: {error}"

    def serves(self) -> tuple[bool, str]:
        """Whether its kubelet serves."""
        self.step = STAGES[5]
        done, said = kubelet.serves(self.row.address)
        if done:
            return True, said
        try:
            self.admission.approve(self.api())
        except (Silent, Refused) as error:
            return False, f"{said}; the API does not answer well: {error}"
        return False, said

    def late(self, at: str) -> report.Failed:
        """What to say when the limit is over."""
        return report.Failed(
            f"{self.row.name} did not get past: {self.step}; {at}",
            message="\n".join(self._words()),
            in_service="all services and the cluster; the machine keeps running and may still get there",
            remedy=f"{REMEDIES[self.step]}; {self._console()}; then run the update again",
        )

    def _console(self) -> str:
        where = self.document.get("consoleLog")
        return f"its console log is {where} on the libvirt host" if where else "look at its console"

    def _words(self) -> list[str]:
        """The last words of those that know: the service that it needs next, its own journal, the requests left."""
        if self.step not in STAGES:
            return [self.boot.last_word()]
        words = [shell.last_line(self.row)]
        if self.step == STAGES[1] or not self.asked:
            sessions = self._sessions()
            words.insert(0, sessions[-1] if sessions else f"{LOAD_BALANCER} logged no session of {self.row.address}")
        return [*words, *self.admission.reasons()]

    def _sessions(self) -> list[str]:
        """The load balancer's lines about this machine and machine config, since its boot."""
        unit = self.machine["units"].get("loadBalancer", LOAD_BALANCER)
        line = re.compile(rf"{re.escape(self.row.address)}:\d+ \[[^]]*\] machine-config ")
        since = self.boot.look().since
        return [one for one in boot_logs.journal(unit, since, LOG_LINES) if line.match(one)]


def main(arguments: list[str], document: Any) -> None:
    """Wait for the machine of `document`."""
    run = Join(document)
    run.find()
    looks: dict[str, Callable[[], tuple[bool, str]]] = {
        "boot": run.booted,
        "machine config": run.configured,
        "certificates": run.admitted,
        "ready": run.joined,
        "role": run.belongs,
        "serving": run.serves,
    }
    if run.ready and not (run.node and nodes.leaving(run.node)):
        report.say(f"{run.row.fqdn} is Ready already, on this machine")
        looks = {name: looks[name] for name in STAGES[4:]}
    for name, look in looks.items():
        with run.stages(name) as stage:
            stage.detail = waiting.until(look, run.stages, run.limit, run.late)
    report.result({"ready": True, "node": run.row.fqdn, "left": run.admission.left()})
