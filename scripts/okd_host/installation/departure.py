"""bootstrap-leave: the bootstrap goes, once the control plane does without it.

Document: {"api": {"url", "address"}, "bootstrap": row with "uuid", "controlPlane": [rows], "loadBalancer": {"socket",
"backends": [...]}, "bundle": the document of `deliver` for the load balancer without the bootstrap, "powerOff": true}.

Stages: control plane (every machine of it answers API and machine config itself; otherwise nothing is changed), load
balancer (no new connections to the bootstrap by the runtime API, then the configuration without it: a reload hands the
sockets over, so that no connection is dropped), power off (by its own shell, never another machine's).
May be run again, also after the bootstrap is gone.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from okd_host import deliver, files, limits, report, tls
from okd_host.ignition import guard
from okd_host.installation import shell
from okd_host.installation.api import Api, Silent
from okd_host.installation.rows import Row, read

STAGES = ("control plane", "load balancer", "power off")
# A run whose connection was cut goes on to its end.
# A control plane that has just taken over may still be reloading certificates.
POLL = 2.0
HEARTBEAT = 10.0
ANSWER = 65536
UNIT = "bootkube"
ABSENT = "No such server"


def _machine_config() -> tuple[ssl.SSLContext, str, int]:
    """Trust, name and port of the machine-config server, as the machines' own ignition config has them."""
    with guard.reading() as store:
        pointer = json.loads(store("master.ign"))
    url = urlsplit(pointer["ignition"]["config"]["merge"][0]["source"])
    authorities = pointer["ignition"]["security"]["tls"]["certificateAuthorities"]
    context = tls.trusting(*(b64decode(row["source"].rpartition(",")[2]).decode() for row in authorities))
    return context, str(url.hostname), url.port or 443


def _serves_config(row: Row, context: ssl.SSLContext, name: str, port: int) -> str:
    """Why the machine does not serve machine config; empty when it does."""
    try:
        plain = socket.create_connection((row.address, port), timeout=limits.API_REQUEST.seconds)
        with plain, context.wrap_socket(plain, server_hostname=name) as secure:
            secure.sendall(f"GET /healthz HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            return "" if answer.status < 300 else f"port {port} answers {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {getattr(error, 'verify_message', '') or getattr(error, 'strerror', '') or error}"


def _missing(document: dict[str, Any], rows: Sequence[Row]) -> dict[str, str]:
    """Why each machine of the control plane cannot do without the bootstrap yet, by name."""
    context, name, port = _machine_config()
    found = {}
    for row in rows:
        api = Api.of({**document["api"], "address": row.address}, limit=limits.API_REQUEST.seconds)
        why = _serves_config(row, context, name, port) if api.ready() else "the API on it is not ready (/readyz)"
        if why:
            found[row.name] = why
    return found


def _await_control_plane(document: dict[str, Any], stages: report.Stages) -> str:
    rows, said = read(document["controlPlane"]), time.monotonic()
    while missing := _missing(document, rows):
        if stages.elapsed > limits.HANDOVER.seconds:
            words = [f"{row.name}: {missing[row.name]}" for row in rows if row.name in missing]
            late = next(row for row in rows if row.name in missing)
            raise report.Failed(
                f"{', '.join(missing)} cannot do without the bootstrap yet",
                message="\n".join([*words, shell.last_line(late, "kubelet")]),
                in_service="the bootstrap, in the load balancer as before: nothing was changed",
                remedy=f"look at {late.name} (ssh core@{late.address}, its console log), then run the update again",
            )
        if time.monotonic() - said > HEARTBEAT:
            said = time.monotonic()
            stages.waiting(f"{', '.join(missing)}: {next(iter(missing.values()))}")
        time.sleep(POLL)
    return f"{len(rows)} of {len(rows)} machines answer API and machine config"


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
