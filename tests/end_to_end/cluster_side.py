"""A stand-in on the cluster network: a namespace inside the lab with addresses that no machine has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from types import TracebackType

from tests.end_to_end.clone import Clone

REACHES = """
import socket, sys, time
deadline = time.monotonic() + 600
while True:
    try:
        socket.create_connection((sys.argv[1], 8080), 30).close()
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.5)
"""
# The ingress is balanced by source address: one connection from each, to learn and to hold on to.
STREAMS = """
import http.client, json, sys, threading, time
services, sources = sys.argv[1], sys.argv[2:]
last = {}
def follow(source, stream):
    while stream.readline():
        last[source] = time.monotonic()
    last[source] = None
hosts = {}
for source in sources:
    asked = http.client.HTTPConnection(services, 80, timeout=600, source_address=(source, 0))
    asked.request("GET", "/")
    hosts[source] = asked.getresponse().getheader("X-Miniature-Router")
    held = http.client.HTTPConnection(services, 80, timeout=900, source_address=(source, 0))
    held.request("GET", "/stream")
    stream = held.getresponse()
    stream.readline()
    last[source] = time.monotonic()
    threading.Thread(target=follow, args=(source, stream), daemon=True).start()
print(json.dumps(hosts), flush=True)
for line in sys.stdin:
    time.sleep(3)
    now = time.monotonic()
    print(json.dumps({hosts[s]: at is not None and now - at < 120 for s, at in last.items()}), flush=True)
"""

# What an operator's client meets: a new connection to the API every other second. A busy lab takes its time to answer.
ASKS = """
import json, ssl, sys, threading, time, urllib.request
context = ssl._create_unverified_context()
answers, failures = [0], []
def ask():
    while True:
        try:
            with urllib.request.urlopen(sys.argv[1], timeout=120, context=context) as answer:
                assert answer.status == 200
            answers[0] += 1
        except Exception as error:
            failures.append(f"{time.strftime('%H:%M:%S')} {error!r}")
        time.sleep(2)
threading.Thread(target=ask, daemon=True).start()
for line in sys.stdin:
    print(json.dumps({"answers": answers[0], "failures": failures}), flush=True)
"""


class Peer:
    """A network namespace on the cluster network with `addresses` that no machine has."""

    def __init__(self, clone: Clone) -> None:
        # Named namespaces are the machine's, whatever lab they are made in.
        self.clone, self.name = clone, f"peer-{os.getpid()}"
        network = IPv4Network(clone.output("clusterNetwork"))
        self.addresses = [str(network[number]) for number in range(90, 98)]
        bridge = clone.resources()["network-cluster"]["outputs"]["bridge"]
        self.commands = [
            f"ip netns add {self.name}",
            f"ip link add {self.name} type veth peer name eth0 netns {self.name}",
            f"ip link set {self.name} master {bridge} up",
            f"ip -n {self.name} link set lo up",
            f"ip -n {self.name} link set eth0 up",
            *(f"ip -n {self.name} addr add {one}/{network.prefixlen} dev eth0" for one in self.addresses),
        ]

    def __enter__(self) -> Peer:
        self.clone.inside("sh", "-ec", "\n".join(self.commands)).ok()
        # A bridge forwards nothing from a port in its first seconds.
        services = self.clone.output("servicesAddress")
        self.clone.inside("ip", "netns", "exec", self.name, sys.executable, "-c", REACHES, services).ok()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clone.inside("sh", "-ec", f"ip link del {self.name}; ip netns del {self.name}").ok()

    def start(self, program: str, *words: str) -> subprocess.Popen[str]:
        """Start a Python program in the peer's namespace; killed with its process."""
        argv = [sys.executable, "-m", "lab.hypervisor", "enter", "--"]
        argv += ["ip", "netns", "exec", self.name, sys.executable, "-c", program, *words]
        return subprocess.Popen(
            argv, cwd=self.clone.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )


class Streams:
    """Connections held open through the ingress, one from each address of the peer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        hosts: dict[str, str] = json.loads(process.stdout.readline())
        self.hosts = set(hosts.values())

    def flowing(self) -> dict[str, bool]:
        """By the host that serves it: whether the connection is open and something came lately."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        found: dict[str, bool] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def held_streams(clone: Clone, peer: Peer) -> Iterator[Streams]:
    """Streams from the cluster network through the load balancer's ingress."""
    process = peer.start(STREAMS, clone.output("servicesAddress"), *peer.addresses)
    try:
        yield Streams(process)
    finally:
        process.kill()
        process.wait()


class Asking:
    """Requests to the stack's API through the load balancer, one after another until it is told to end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def told(self) -> tuple[int, list[str]]:
        """How many were answered well so far, and what became of each other one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        found = json.loads(self.process.stdout.readline())
        return found["answers"], found["failures"]


@contextmanager
def asked_api(clone: Clone) -> Iterator[Asking]:
    """Requests from the uplink's side."""
    argv = [sys.executable, "-m", "lab.hypervisor", "enter", "--", sys.executable, "-c", ASKS]
    process = subprocess.Popen(
        [*argv, f"https://{clone.uplink}:6443/readyz"], cwd=clone.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, bufsize=1,
    )  # fmt: skip
    try:
        yield Asking(process)
    finally:
        process.kill()
        process.wait()
