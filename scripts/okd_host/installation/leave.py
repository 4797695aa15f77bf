"""node-leave: let one machine go, as gently as the cluster allows: cordoned, drained, shut down.

Document: {"api": {"url", "address"}, "machine": row, with "uuid" where it is known, "drainMinutes": 10}.

Stages: look (whether there is anything to leave, and whether the cluster can do without it: for a machine of the
control plane, by its Nodes and by etcd's own word), cordon, drain, shut down, node (removed when no machine of that
name is declared any more). One machine leaves at a time. Where no API answers there is nothing to do: the machine goes
without. May be run again at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from okd_host import files, limits, report
from okd_host.ignition import INSTALL, INSTALLED
from okd_host.installation import declare, leases, nodes, quorum, shell, waiting
from okd_host.installation.api import Api, Refused, Silent, segment
from okd_host.installation.rows import Row
from okd_host.mirror import client
from okd_host.tools import BIN

STAGES = ("look", "cordon", "drain", "shut down", "node")
# A silence may pass: the load balancer takes a control-plane machine that is gone out of service after 20 s.
PAUSE = 2.0
DRAIN = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
Answer = TypeVar("Answer")


class Leave:
    """One run of the verb over its document."""

    def __init__(self, document: dict[str, Any], stages: report.Stages) -> None:
        self.document, self.stages = document, stages
        self.row = Row.of(document["machine"])
        self.everyone: list[dict[str, Any]] = []
        self.node: dict[str, Any] = {}
        self.living: set[str] = set()
        self._api: Api | None = None

    def api(self) -> Api:
        """The cluster's API. Raises Silent when there are no credentials."""
        if self._api is None:
            self._api = Api.of(self.document["api"], limit=limits.API_REQUEST.seconds)
        return self._api

    def look(self) -> str:
        """Why there is nothing to leave; empty when there is. Raises Failed when the cluster cannot do without it."""
        try:
            pulse, known = self._patiently(lambda: leases.settled(self.api(), self.stages.waiting))
        except Silent as silent:
            return (
                f"no cluster answers ({silent}), so nothing is drained; if it comes back, and no machine of that name "
                f"does: oc delete node {self.row.fqdn}"
            )
        self.everyone = list(known.values())
        self.living = {name for name, node in known.items() if pulse.ready(node)}
        found = [node for node in self.everyone if nodes.name(node) == self.row.fqdn]
        if not found:
            return f"{self.row.fqdn} is no Node of the cluster"
        if self.row.uuid and nodes.uuid(found[0]) != self.row.uuid:
            return f"{self.row.fqdn} is another machine by now ({nodes.uuid(found[0])})"
        self.node = found[0]
        self._quorum()
        return ""

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask again while the API is silent, for a while; at once only where no cluster was ever seen up."""
        deadline = time.monotonic() + limits.API_SILENCE.seconds
        while True:
            try:
                return ask()
            except Silent:
                if time.monotonic() > deadline or not os.path.exists(f"{INSTALL}/{INSTALLED}"):
                    raise
                time.sleep(PAUSE)

    def _quorum(self) -> None:
        if not nodes.control_plane(self.node):
            return
        plane = {nodes.name(one) for one in self._others() if nodes.control_plane(one)}
        missing = sorted(plane - self.living)
        if missing:
            raise report.Failed(
                f"{self.row.name} cannot go while {', '.join(missing)} of the control plane is not Ready: etcd would "
                "lose its majority, and the cluster its API",
                in_service="the whole cluster; nothing was changed",
                remedy=f"bring {', '.join(missing)} back first (its domain running, its Node Ready), then run the "
                "update again",
            )
        if any(nodes.control_plane(one) for one in self._others()):
            waiting.until(self._spared, self.stages, waiting.Limit(limits.ETCD.seconds / 60), self._needed)

    def _spared(self) -> tuple[bool, str]:
        """Whether etcd can do without it; after the leave of another one that takes its minutes."""
        found = quorum.verdict(self.api(), ready=self.row.fqdn in self.living)
        return found.may_go, f"etcd to be whole ({found.said})"

    def _needed(self, why: str) -> report.Failed:
        return report.Failed(
            f"{self.row.name} cannot go, since etcd does not say that it keeps its majority, and the cluster its API, "
            f"without it; {why}",
            in_service="the whole cluster; nothing was changed",
            remedy="see `oc get etcd cluster -o yaml` (EtcdMembersAvailable, EtcdMembersDegraded) and `oc -n "
            "openshift-etcd get poddisruptionbudgets,pods`; bring every member back, then run the update again",
        )

    def _others(self) -> list[dict[str, Any]]:
        return [one for one in self.everyone if nodes.name(one) != self.row.fqdn]

    def cordon(self) -> str:
        """Let it take no new pods."""
        self._patiently(lambda: nodes.cordon(self.api(), self.node, nodes.LEAVING))
        return f"{self.row.fqdn} takes no new pods"

    def drain(self) -> str:
        """Have its pods elsewhere. Raises Failed when they do not go."""
        if not any(nodes.name(one) in self.living and not nodes.cordoned(one) for one in self._others()):
            return "no other Node takes pods: they end with the machine"
        minutes = float(self.document["drainMinutes"])
        limit = f"--timeout={minutes * 60:.0f}s"
        with self.api().kubeconfig() as kubeconfig:
            own = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "KUBECONFIG": kubeconfig}
            argv = [f"{BIN}/oc", "adm", "drain", self.row.fqdn, *DRAIN, limit, "--request-timeout=30s"]
            ended = client.run(argv, own, lambda: self.stages.waiting(f"{self.row.name}'s pods to go"))
        if ended.code:
            raise report.Failed(
                f"{self.row.name} cannot be drained within {minutes:g} minutes",
                check="oc adm drain",
                message=ended.output,
                in_service="the whole cluster; the Node is cordoned, and takes no new pods",
                remedy="see which pods stay and why (a PodDisruptionBudget that allows none to go, a pod that does not "
                f"end), let them go, then run the update again; or keep the machine: oc adm uncordon {self.row.fqdn}",
            )
        gone = [line for line in ended.output.splitlines() if line.endswith(" evicted")]
        return f"pods evicted: {len(gone)}"

    def shut_down(self) -> str:
        """Have the machine off, if it can be told. Its end is not ours: its domain goes next."""
        # Until its Node is seen to be gone it is said to be Ready: the mark says of which boot that was.
        self._patiently(lambda: nodes.cordon(self.api(), self.node, nodes.left_mark(self.node)))
        told = shell.power_off(self.row)
        if told.code:
            return f"it cannot be told to ({report.tail(told.output, 1) or f'exit {told.code}'}); it goes as it is"
        started = time.monotonic()
        off = shell.await_off(self.row, limits.POWER_OFF.seconds, self.stages.waiting)
        return (
            f"off after {time.monotonic() - started:.0f} s"
            if off
            else f"told to, but not off after {limits.POWER_OFF.seconds:g} s"
        )

    def remove(self) -> bool:
        """Remove the Node of a machine that is not declared any more; whether it was."""
        declared = declare.read()
        if declared is None or any(row.fqdn == self.row.fqdn for row in declared):
            return False
        path = f"{nodes.PATH}/{segment(self.row.fqdn)}"
        try:
            self._patiently(lambda: self.api().delete(path))
        except Refused as refused:
            if refused.status != 404:
                raise
        shell.forget(self.row)
        return True


def _leave(run: Leave, stages: report.Stages) -> bool:
    """Whether the machine's Node was removed."""
    with stages("look"):
        nothing = run.look()
        stages.detail = nothing or f"{run.row.fqdn} is a Node, one of {len(run.everyone)}"
    if nothing:
        return False
    for name, step in (("cordon", run.cordon), ("drain", run.drain), ("shut down", run.shut_down)):
        with stages(name):
            stages.detail = step()
    with stages("node"):
        removed = run.remove()
        stages.detail = f"{run.row.fqdn} {'removed' if removed else 'kept: the machine is made anew'}"
    return removed


def main(arguments: list[str], document: Any) -> None:
    """Let the machine of `document` go."""
    stages = report.Stages(STAGES)
    with files.lock("node-leave", "node-leave"):
        try:
            removed = _leave(Leave(document, stages), stages)
        except (Silent, Refused) as error:
            raise report.Failed(
                "the API does not answer well any more",
                message=str(error),
                in_service="the whole cluster; the Node may be cordoned",
                remedy=f"run the update again; or keep the machine: oc adm uncordon {document['machine']['fqdn']}",
            ) from None
    report.result({"removed": removed})
