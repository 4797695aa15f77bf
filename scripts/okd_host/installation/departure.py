"""bootstrap-leave: the bootstrap goes, once the control plane does without it.

Document: {"api": {"url", "address"}, "bootstrap": row with "uuid", "controlPlane": [rows], "loadBalancer": {"socket",
"backends": [...]}, "bundle": the document of `deliver` for the load balancer without the bootstrap, "powerOff": true,
"limitMinutes": 60}.

Stages: control plane (every machine of it has answered API and machine config itself, and the bootstrap's member of
etcd is removed; otherwise nothing is changed), load balancer (no new connections to the bootstrap by the runtime API,
then the configuration without it: a reload hands the sockets over, so that no connection is dropped), power off (by its
own shell, never another machine's).
May be run again, also after the bootstrap is gone.
"""

from __future__ import annotations

import socket
from typing import Any

from okd_host import deliver, files, limits, report
from okd_host.installation import shell, waiting
from okd_host.installation.api import Silent
from okd_host.installation.handover import Handover
from okd_host.installation.rows import Row, read

STAGES = ("control plane", "load balancer", "power off")
# Every second of it is one in which the installation stands still.
POLL = 0.5
ANSWER = 65536
UNIT = "bootkube"
ABSENT = "No such server"


def _await_control_plane(document: dict[str, Any], stages: report.Stages) -> str:
    handover = Handover(document["api"], read(document["controlPlane"]))

    def failed(why: str) -> report.Failed:
        words = [f"{name}: {said}" for name, said in handover.late.items()]
        late = next((row for row in handover.rows if row.name in handover.late), handover.rows[0])
        return report.Failed(
            f"{', '.join(handover.late) or 'the control plane'} cannot do without the bootstrap yet, {why}",
            message="\n".join([*words, *([handover.etcd] if handover.etcd else []), shell.last_line(late, "kubelet")]),
            in_service="the bootstrap, in the load balancer as before: nothing was changed",
            remedy=f"look at {late.name} (ssh core@{late.address}, its console log; oc get clusteroperators etcd), "
            "then run the update again",
        )

    return waiting.until(handover.look, stages, waiting.Limit(document["limitMinutes"]), failed, pause=POLL)


def ask(path: str, command: str) -> str:
    """What the load balancer's runtime API answers to one command. Raises OSError when it does not run."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(limits.RUNTIME_API.seconds)
        connection.connect(path)
        connection.sendall(f"{command}\n".encode())
        answer = b""
        while part := connection.recv(ANSWER):
            answer += part
    return answer.decode(errors="replace").strip()


def _take_out(document: dict[str, Any]) -> list[str]:
    """Let the load balancer send the bootstrap nothing new; the back ends that had it."""
    place, had = document["loadBalancer"], []
    for backend in place["backends"]:
        server = f"{backend}/{document['bootstrap']['name']}"
        try:
            said = ask(place["socket"], f"set server {server} state maint")
        except (FileNotFoundError, ConnectionRefusedError):
            return []  # it does not run; the delivery that follows starts it and judges it
        except OSError as error:
            said = f"{place['socket']}: {error}"
        if said and ABSENT not in said:
            raise report.Failed(
                f"the load balancer does not let {server} go",
                message=said,
                in_service="the load balancer as before",
                remedy="look at `systemctl status haproxy` on the services host, then run the update again",
            )
        if not said:
            had.append(backend)
    return had


def _has_left(document: dict[str, Any], bootstrap: Row) -> bool:
    """Whether nothing of the bootstrap is left: then nothing depends on the control plane's state now."""
    place = document["loadBalancer"]
    try:
        known = [ask(place["socket"], f"show servers state {backend}") for backend in place["backends"]]
    except OSError:
        return False
    return not any(bootstrap.name in text.split() for text in known) and shell.surely_off(bootstrap)


def _verify(row: Row) -> None:
    """Raises Failed unless the machine at the address is the bootstrap, and lets us in."""
    untouched = f"whatever is at {row.address}: it was not touched; the load balancer does without it"
    name = shell.run(row, "hostname")
    if name.code:
        raise report.Failed(
            f"{row.name} is up, but cannot be logged in to",
            message=name.output,
            in_service=untouched,
            remedy="switch it off at the libvirt host (virsh shutdown), then run the update again; "
            f"if it is another machine, it must not have the address {row.address}",
        )
    journal = shell.run(row, f"sudo journalctl --quiet --no-pager --lines=1 -u {UNIT}")
    other = name.output.partition(".")[0] != row.fqdn.partition(".")[0]
    if other or journal.code or not journal.output:
        raise report.Failed(
            f"the machine at {row.address} is not {row.name}",
            message=f"it says that it is {name.output}" + ("" if other else f", and has no journal of {UNIT}"),
            in_service=untouched,
            remedy=f"find out what has the address {row.address}, switch {row.name} off at the libvirt host, "
            "then run the update again",
        )


def _power_off(row: Row, stages: report.Stages) -> str:
    if shell.surely_off(row):
        return f"{row.name} is off already"
    _verify(row)
    done = shell.power_off(row)
    if done.code or not shell.await_off(row, limits.POWER_OFF.seconds, stages.waiting):
        raise report.Failed(
            f"{row.name} does not switch itself off",
            message=done.output or f"{row.address} still answers after {limits.POWER_OFF.seconds:.0f} s",
            in_service="the cluster, without the bootstrap in its load balancer",
            remedy="switch it off at the libvirt host (virsh shutdown, or virsh destroy), then run the update again",
        )
    shell.forget(row)
    return f"{row.name} has switched itself off"


def main(arguments: list[str], document: Any) -> None:
    """Let the bootstrap of `document` leave."""
    stages = report.Stages(STAGES)
    bootstrap = Row.of(document["bootstrap"])
    with files.lock("bootstrap-leave", "bootstrap-leave"):
        with stages("control plane"):
            try:
                left = _has_left(document, bootstrap)
                stages.detail = "not asked: the bootstrap has left" if left else _await_control_plane(document, stages)
            except (FileNotFoundError, Silent) as error:
                raise report.Failed(
                    f"there is no set of ignition configs on this host: {error}",
                    in_service="the bootstrap, in the load balancer as before: nothing was changed",
                    remedy="run the update: it makes the set (okd-host ignition)",
                ) from None
        with stages("load balancer"):
            had = _take_out(document)
            deliver.main([], document["bundle"])
            stages.detail = f"{bootstrap.name} is out" + (f" of {', '.join(had)}" if had else ", as it was")
        with stages("power off"):
            stages.detail = _power_off(bootstrap, stages) if document["powerOff"] else "not asked for"
    report.result({"poweredOff": bool(document["powerOff"])})
