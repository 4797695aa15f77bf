"""Questions to a cluster of processes, past the real tools."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import yaml

from tests.node.machine import Machine
from tests.node.processes import DOMAIN, Cluster
from tests.patience import PATIENCE_SECONDS


class Approving:
    """Somebody who approves whatever is pending, beside what the test does."""

    def __init__(self, made: Cluster) -> None:
        self.made, self.over = made, threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self) -> None:
        while not self.over.wait(1):
            self.made.approve_quietly()

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def secured(context: ssl.SSLContext, address: str, port: int, name: str) -> ssl.SSLSocket:
    """A connection whose server has shown a certificate for `name`."""
    plain = socket.create_connection((address, port), timeout=PATIENCE_SECONDS)
    return context.wrap_socket(plain, server_hostname=name)


def machine_config(made: Cluster, address: str, pool: str) -> tuple[int, str]:
    """What a machine config server answers."""
    authority = base64.b64decode(_authority(made)).decode()
    context = ssl.create_default_context(cadata=authority)
    with secured(context, address, 22623, f"api-int.{DOMAIN}") as connection:
        connection.sendall(f"GET /config/{pool} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


def _authority(made: Cluster) -> str:
    pointer = json.loads((made.set / "master.ign").read_text())
    source: str = pointer["ignition"]["security"]["tls"]["certificateAuthorities"][0]["source"]
    return source.rpartition(",")[2]


def open_ports(address: str) -> list[int]:
    """Which of the control plane's ports are served there."""
    found = []
    for port in (6443, 22623, 2380):
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex((address, port)) == 0:
                found.append(port)
    return found


def condition(row: dict[str, Any], kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in row["status"]["conditions"] if one["type"] == kind]
    return found[0] if found else {}


def requests_of(made: Cluster) -> set[str]:
    return {row["metadata"]["name"] for row in made.objects("csr")}


def ingress(address: str, host: str = f"console.apps.{DOMAIN}") -> str:
    """What a router answers; "" when none does."""
    asked = urllib.request.Request(f"http://{address}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def answers_tls(context: ssl.SSLContext, address: str) -> bool:
    try:
        secured(context, address, 443, f"console.apps.{DOMAIN}").close()
    except ConnectionRefusedError:
        return False
    return True


def all_ready(made: Cluster) -> bool:
    return made.ready() == {machine.name for machine in made.of_role("control-plane", "compute")}


def settled(made: Cluster) -> bool:
    """All nodes are Ready, the control plane serves, and so do the routers, of which there are two."""
    served = all(len(open_ports(machine.address)) == 3 for machine in made.of_role("control-plane"))
    routers = [machine for machine in made.of_role("compute") if ingress(machine.address)]
    return all_ready(made) and served and len(routers) >= min(2, len(made.of_role("compute")))


def all_serve(made: Cluster) -> bool:
    """Every kubelet has the certificate that it serves with."""
    return all(kubelet_serves(machine) for machine in made.of_role("control-plane", "compute"))


def kubelet_serves(machine: Machine) -> bool:
    context = ssl._create_unverified_context()
    try:
        with secured(context, machine.address, 10250, machine.fqdn):
            return True
    except OSError:
        return False


def api_of(made: Cluster, machine: Machine) -> Callable[..., tuple[int, dict[str, Any]]]:
    """The API of one control-plane machine, past the load balancer: method, path, body -> status, answer."""
    config = yaml.safe_load(made.kubeconfig.read_text())
    user = config["users"][0]["user"]
    files = {name: made.directory / f"admin.{name}" for name in ("crt", "key")}
    for name, kind in (("crt", "client-certificate-data"), ("key", "client-key-data")):
        files[name].write_bytes(base64.b64decode(user[kind]))
        files[name].chmod(0o600)
    authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    context.load_cert_chain(files["crt"], files["key"])

    def ask(method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        plain = socket.create_connection((machine.address, 6443), timeout=PATIENCE_SECONDS)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = context.wrap_socket(plain, server_hostname=f"api.{DOMAIN}")
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return answer.status, found

    return ask
