"""Stand-ins on the cluster network: namespaces inside the lab that hold a machine's address."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from tests.end_to_end.conftest import Clone

REACHES = """
import socket, sys, time
deadline = time.monotonic() + 90
while True:
    try:
        socket.create_connection((sys.argv[1], 8080), 5).close()
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.5)
"""
SERVER = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
print("listening", flush=True)
Server(("0.0.0.0", 443), Echo).serve_forever()
"""
CLIENT = """
import socket, sys, time
deadline = time.monotonic() + 90
while True:
    try:
        connection = socket.create_connection((sys.argv[1], 443), 10)
        stream = connection.makefile("rw")
        stream.write("hello\\n"); stream.flush()
        if stream.readline() == "hello\\n":
            break
    except OSError:
        pass
    if time.monotonic() > deadline:
        sys.exit("no connection through the load balancer")
    time.sleep(1)
connection.settimeout(None)
print("connected", flush=True)
for line in sys.stdin:
    stream.write(line); stream.flush()
    print(stream.readline(), end="", flush=True)
"""


class Peer:
    """A network namespace on the cluster network with a declared machine's address, answering on port 443."""

    def __init__(self, clone: Clone, machine: str) -> None:
        self.clone = clone
        row = next(one for one in clone.output("machines") if one["name"] == machine)
        self.address = str(row["address"])
        self.name = "peer"
        bridge = clone.resources()["network-cluster"]["outputs"]["bridge"]
        self.commands = [
            f"ip netns add {self.name}",
            f"ip link add {self.name} type veth peer name eth0 netns {self.name}",
            f"ip link set {self.name} master {bridge} up",
            f"ip -n {self.name} link set lo up",
            f"ip -n {self.name} link set eth0 up",
            f"ip -n {self.name} addr add {self.address}/24 dev eth0",
        ]

    def __enter__(self) -> Peer:
        self.clone.inside("sh", "-ec", "\n".join(self.commands)).ok()
        self.server = self.start(SERVER)
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == "listening\n"
        # A bridge forwards nothing from a port in its first seconds.
        services = self.clone.output("servicesAddress")
        self.clone.inside("ip", "netns", "exec", self.name, sys.executable, "-c", REACHES, services).ok()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.kill()
        self.server.wait()
        self.clone.inside("sh", "-ec", f"ip link del {self.name}; ip netns del {self.name}").ok()

    def start(self, program: str, *words: str) -> subprocess.Popen[str]:
        """Start a Python program in the peer's namespace; killed with its process."""
        argv = [sys.executable, "-m", "lab.hypervisor", "enter", "--"]
        argv += ["ip", "netns", "exec", self.name, sys.executable, "-c", program, *words]
        return subprocess.Popen(
            argv, cwd=self.clone.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )


class Connection:
    """One TCP connection through the load balancer, held open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def echo(self, text: str) -> None:
        """Send a line and read it back over the same connection."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{text}\n", "the connection was dropped"


@contextmanager
def held_connection(clone: Clone, peer: Peer) -> Iterator[Connection]:
    """A connection from the cluster network through the load balancer's ingress to the peer."""
    process = peer.start(CLIENT, clone.output("servicesAddress"))
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "connected\n"
        yield Connection(process)
    finally:
        process.kill()
        process.wait()
