"""cluster-status: what stands right now. Changes nothing.

Document: {"api": {"url", "address"}, "machines": [boot documents without "uuid"], "units": {service: unit}}.

Result: {"services": [{"name", "state", "since"}], "mirror": {"version", "images", "verifiedAt"} or null, "ignition":
{"made", "expiry", "installed", "damage"} or null, "machines": [{"name", "role", "stage", "since", "detail"}],
"cluster": {"api", "version", "available", "progressing", "operators", "message"}, "requests": [{"name",
"requester"}]}. A machine's stage is one of its boot, then joining, Ready, NotReady; off when nothing answers at its
address, unknown when nothing tells. Moments are ISO 8601, null where nothing tells them.
"""

from __future__ import annotations

import calendar
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from okd_host import commands, limits, report
from okd_host.ignition import guard
from okd_host.ignition.certificates import moment
from okd_host.installation import approver, nodes, operators, shell
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.boots import Boot
from okd_host.installation.leases import Pulse
from okd_host.installation.rows import BOOTSTRAP, Row
from okd_host.mirror import places

READY, NOT_READY, JOINING, OFF, UNKNOWN = "Ready", "NotReady", "joining", "off", "unknown"
NO_CLUSTER = {"api": False, "version": "", "available": False, "progressing": False, "operators": "", "message": ""}


class Cluster:
    """What the API told, as far as it answered; `facts` is the result's `cluster`."""

    def __init__(self, where: Mapping[str, str]) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.pulse = Pulse()
        self.requests: list[dict[str, str]] = []
        self.facts: dict[str, Any] = dict(NO_CLUSTER)
        try:
            self._ask(Api.of(where, limit=limits.STATUS_API.seconds))
        except (Silent, Refused) as error:
            self.facts["message"] = str(error)

    def _ask(self, api: Api) -> None:
        self.nodes = self.pulse.nodes(api)
        self.facts["api"] = True
        for one in api.get(approver.PATH).get("items") or []:
            status = one.get("status") or {}
            if not status.get("certificate") and not status.get("conditions"):
                self.requests.append({"name": one["metadata"]["name"], "requester": one["spec"].get("username", "")})
        version, found = operators.version(api), operators.operators(api)
        self.facts |= {
            "version": version.version,
            "available": version.available,
            "progressing": version.progressing,
            "operators": f"{found.available}/{found.total}",
            "message": version.message,
        }


def services(units: Mapping[str, str]) -> list[dict[str, Any]]:
    """The services' units, asked in one call."""
    wanted = "--property=Id,ActiveState,StateChangeTimestampMonotonic"
    done = commands.run(["systemctl", "show", wanted, *units.values()])
    blocks = [
        dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in done.output.split("\n\n")
    ]
    if done.code or len(blocks) != len(units):
        blocks = [{} for _ in units]
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found = []
    for name, block in zip(units, blocks):
        changed = int(block.get("StateChangeTimestampMonotonic") or 0) / 1e6
        since = moment(booted + changed) if changed else None
        found.append({"name": name, "state": block.get("ActiveState", UNKNOWN), "since": since})
    return found


def mirror() -> dict[str, Any] | None:
    """The last complete mirror."""
    path = places.path("mirror.json")
    known = places.recall(path)
    if not known:
        return None
    images = len(known.get("images", [])) + len(known.get("extra", []))
    return {"version": known.get("version"), "images": images, "verifiedAt": moment(os.path.getmtime(path))}


def ignition() -> dict[str, Any] | None:
    """The set of ignition configs."""
    found = guard.known()
    if not found:
        return None
    made, expiry = (moment(one) if one else None for one in found.validity)
    return {"made": made, "expiry": expiry, "installed": found.installed, "damage": found.damage}


def _seconds(text: str) -> float | None:
    with suppress(ValueError):
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    return None


def machine(document: dict[str, Any], cluster: Cluster, off: bool) -> dict[str, Any]:
    """What one machine is at; `off` when nothing answers at its address."""
    row = Row.of(document)
    node = cluster.nodes.get(row.fqdn)
    if node:
        stage, since, detail = _of_node(node, cluster.pulse, off)
    else:
        stage, since, detail = _of_boot(row, document, cluster, off)
    return {
        "name": row.name,
        "role": row.role,
        "stage": stage,
        "since": moment(since) if since else None,
        "detail": detail,
    }


def _of_node(node: dict[str, Any], pulse: Pulse, off: bool) -> tuple[str, float | None, str]:
    condition = nodes.condition(node, READY)
    since = _seconds(str(condition.get("lastTransitionTime") or ""))
    if pulse.ready(node):
        return READY, since, "takes no new pods" if nodes.cordoned(node) else ""
    if nodes.ready(node):
        since = pulse.renewed(node)
    return OFF if off else NOT_READY, since, pulse.why_not_ready(node)


def _of_boot(row: Row, document: dict[str, Any], cluster: Cluster, off: bool) -> tuple[str, float | None, str]:
    seen = Boot(document).look()
    if off and (seen.done or not seen.reached):
        return OFF, seen.since if seen.reached else None, ""
    if not seen.reached:
        return UNKNOWN, None, "it is up; this services host has seen nothing of its boot"
    if not seen.done:
        return seen.stage, seen.since, seen.detail
    if row.role == BOOTSTRAP:
        return JOINING, seen.since, "builds the control plane"
    if not cluster.facts["api"]:
        return JOINING, seen.since, "the API does not answer"
    return JOINING, seen.since, "waits for its machine config, or for its certificates"


def show(found: Mapping[str, Any]) -> str:
    """The result for a reader."""
    rows: list[Sequence[str]] = [
        ("services", one["name"], one["state"], one["since"] or "") for one in found["services"]
    ]
    for kind, known in (("mirror", found["mirror"]), ("ignition", found["ignition"])):
        text = "none yet" if known is None else ", ".join(f"{name} {one}" for name, one in known.items() if one)
        rows.append((kind, "", text, ""))
    rows += [(one["role"], one["name"], one["stage"], one["since"] or "") for one in found["machines"]]
    cluster = found["cluster"]
    text = f"{cluster['version']}, operators {cluster['operators']}" if cluster["api"] else "the API does not answer"
    rows += [("cluster", "", text, ""), *(("request", one["name"], one["requester"], "") for one in found["requests"])]
    return report.table(("what", "name", "state", "since"), rows)


def main(arguments: list[str], document: Any) -> None:
    """Print the state of everything in `document`."""
    machines = document["machines"]
    # All at once: each of them may take its whole limit to find that nobody answers.
    with ThreadPoolExecutor(len(machines) + 2) as pool:
        asked = pool.submit(services, document["units"])
        off = pool.map(lambda one: shell.is_off(Row.of(one), limits.NEIGHBOUR.seconds), machines)
        cluster = Cluster(document["api"])
        rows = [machine(one, cluster, silent) for one, silent in zip(machines, off)]
        found = {
            "services": asked.result(),
            "mirror": mirror(),
            "ignition": ignition(),
            "machines": rows,
            "cluster": cluster.facts,
            "requests": cluster.requests,
        }
    report.say(show(found))
    report.result(found)
