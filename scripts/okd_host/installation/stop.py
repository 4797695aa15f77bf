"""cluster-stop: the whole cluster shut down in order.

Document: {"api": {"url", "address"}, "machines": [rows], "limitMinutes"}; "force": true stops a cluster that is not
well.

Stages: nodes (every machine Ready, or it is refused), certificates (how long they stay good), cordon (no new pods,
which cluster-start takes back), compute, control plane (each shut down by its own shell, until it is off). May be run
again at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from okd_host import files, report
from okd_host.ignition.certificates import moment
from okd_host.installation import expiry, leases, nodes, power, shell
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.rows import COMPUTE, CONTROL_PLANE, Row, read

STAGES = ("nodes", "certificates", "cordon", "compute", "control plane")


def _unwell(machines: Sequence[Row], known: dict[str, dict[str, Any]], pulse: leases.Pulse) -> dict[str, str]:
    """Why each machine that is not Ready is not, by name."""
    found = {}
    for row in machines:
        node = known.get(row.fqdn)
        if node is None:
            found[row.name] = "has no Node"
        elif not pulse.ready(node) and not power.stopping(node):
            found[row.name] = pulse.why_not_ready(node)
    return found


def _check(api: Api | None, why: str, machines: Sequence[Row], force: bool, stages: report.Stages) -> str:
    """That the cluster can be stopped; what was found. Raises Failed."""
    if api is None:
        if force or os.path.exists(power.MARK):
            return f"the API does not answer ({why}): {'forced' if force else 'a stop has begun before'}"
        raise report.Failed(
            "the cluster cannot be asked whether it is well",
            message=why,
            in_service="all machines: none was touched",
            remedy="start the cluster first; or stop it as it is, with force",
        )
    pulse, known = leases.settled(api, stages.waiting)
    unwell = _unwell(machines, known, pulse)
    if unwell and not force:
        raise report.Failed(
            f"{', '.join(unwell)} {'is' if len(unwell) == 1 else 'are'} not Ready: it may not come back from a stop",
            message="\n".join(f"{name}: {why}" for name, why in unwell.items()),
            in_service="all machines: none was touched",
            remedy="mend the cluster first (oc get nodes; oc get clusteroperators); or stop it as it is, with force",
        )
    return f"{len(machines) - len(unwell)} of {len(machines)} Ready" + (", forced" if unwell else "")


def _cordon(api: Api, machines: Sequence[Row]) -> str:
    known, done = power.by_fqdn(api), 0
    for row in machines:
        node = known.get(row.fqdn)
        # One that is being drained to leave keeps the mark that says so.
        if node and (not nodes.cordoned(node) or power.stopping(node)):
            nodes.cordon(api, node, nodes.off_mark(node))
            done += 1
    return f"{done} nodes take no new pods"


def _shut_down(row: Row, minutes: float, stages: report.Stages) -> str:
    """Why the machine is not off; empty when it is."""
    if shell.surely_off(row):
        return ""
    done = shell.power_off(row)
    if done.code:
        return f"it cannot be told to: {done.output}"
    off = shell.await_off(row, minutes * 60, stages.waiting)
    return "" if off else f"{row.address} still answers after {minutes:g} minutes"


def _off(machines: Sequence[Row], minutes: float, stages: report.Stages) -> str:
    """Shut machines down side by side. Raises Failed naming those that stay."""
    with ThreadPoolExecutor(max(1, len(machines))) as pool:
        whys = list(pool.map(lambda row: _shut_down(row, minutes, stages), machines))
    stay = {row.name: why for row, why in zip(machines, whys) if why}
    if stay:
        raise report.Failed(
            f"{', '.join(stay)} cannot be shut down",
            message="\n".join(f"{name}: {why}" for name, why in stay.items()),
            in_service="the machines named; those before them are off or on their way",
            remedy="shut them down at the libvirt host (virsh shutdown NAME), then run this again",
        )
    return f"{', '.join(row.name for row in machines) or 'none declared'}: off"


def _all_off(machines: Sequence[Row]) -> bool:
    with ThreadPoolExecutor(max(1, len(machines))) as pool:
        return all(list(pool.map(shell.surely_off, machines)))


def main(arguments: list[str], document: Any) -> None:
    """Shut the cluster of `document` down."""
    stages = report.Stages(STAGES)
    with files.lock("power", "cluster-stop"):
        try:
            off, ends = _stop(document, stages)
        except (Silent, Refused) as error:
            failed = report.Failed(
                "the API does not answer well any more",
                message=str(error),
                in_service="all machines: none was shut down",
                remedy="run this again; nodes that were cordoned by it take pods again after cluster-start",
            )
            failed.stage = stages.label
            raise failed from None
    report.result({"certificatesUntil": moment(ends.found[0].until) if ends.found else None, "off": off})


def _stop(document: dict[str, Any], stages: report.Stages) -> tuple[list[str], expiry.Ends]:
    machines = read(document["machines"])
    minutes, ends = float(document["limitMinutes"]), expiry.Ends([], [])
    with stages("nodes"):
        api, why = power.ask(document["api"])
        if api is None and _all_off(machines):
            stages.detail = "every machine is off already"
            return [row.name for row in machines], ends
        stages.detail = _check(api, why, machines, bool(document.get("force")), stages)
    if api:
        with stages("certificates"):
            ends = expiry.look(api, machines)
            report.say(expiry.shown(ends))
            stages.detail = expiry.words(ends)
        with stages("cordon"):
            stages.detail = _cordon(api, machines)
    os.makedirs(files.STATE, exist_ok=True)
    files.write_now(power.MARK, f"{moment(time.time())}\n".encode())
    for name, role in (("compute", COMPUTE), ("control plane", CONTROL_PLANE)):
        with stages(name):
            stages.detail = _off([row for row in machines if row.role == role], minutes, stages)
    return [row.name for row in machines], ends
