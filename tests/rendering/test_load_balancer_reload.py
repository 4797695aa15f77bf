"""A changed set of machines reaches HAProxy by reload, and a connection that was open stays open."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from cluster import load_balancer
from tests.patience import PATIENCE_SECONDS
from tests.rendering.conftest import NewHouse, plan_of
from tests.rendering.house import House

pytestmark = pytest.mark.daemons
CONFIG = "/etc/haproxy/haproxy.cfg"
ECHO = """
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1024):
            self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server((sys.argv[1], 80), Echo).serve_forever()
"""
# Says each line it gets back; stays on one connection for as long as it is fed.
CLIENT = """
import socket, sys
link = socket.create_connection(("192.168.200.254", 80), 600)
for line in sys.stdin:
    link.sendall(line.encode())
    print(link.recv(1024).decode().strip(), flush=True)
"""


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> House:
    house = new_house(plan_of("dev"))
    for address in ("192.168.200.20", "192.168.200.21", "192.168.200.22"):
        house.run("ip", "addr", "add", f"{address}/24", "dev", "probe", probe=True)
        house.start(sys.executable, "-c", ECHO, address, probe=True)
        house.until("/bin/sh", "-c", f"ss -Hltn 'src {address} and sport = :80' | grep -q .", probe=True)
    house.start("haproxy", "-W", "-f", CONFIG, "-p", "/run/haproxy.pid")
    house.until("curl", "-fs", "-o", "/dev/null", "http://192.168.200.254:9000/")
    return house


def inside(house: House, *argv: str) -> subprocess.Popen[str]:
    command = ["nsenter", "--target", str(house.pid), "--net", *argv]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def say(client: subprocess.Popen[str], word: str) -> str:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{word}\n")
    return client.stdout.readline().strip()


def asked(house: House, command: str) -> list[str]:
    link = socket.socket(socket.AF_UNIX)
    link.connect(str(house.root / "run/haproxy/admin.sock"))
    link.sendall(f"{command}\n".encode())
    text = b""
    while part := link.recv(4096):
        text += part
    return text.decode().splitlines()


def servers(house: House) -> set[str]:
    lines = asked(house, "show servers state ingress-http")
    return {line.split()[3] for line in lines if line and line[0].isdigit() and len(line) > 5}


def test_the_units_limit_holds_what_haproxy_opens_for_its_connections(house: House) -> None:
    rows = load_balancer.concerns(plan_of("dev"))
    told = dict(line.partition(": ")[::2] for line in asked(house, "show info") if ": " in line)
    assert int(told["Maxconn"]) == load_balancer.connections(rows)
    assert int(told["Maxsock"]) <= load_balancer.open_files(rows)
    assert int(told["Ulimit-n"]) <= load_balancer.open_files(rows)


def test_an_open_connection_survives_and_new_ones_see_the_new_machine(house: House) -> None:
    client = inside(house, sys.executable, "-c", CLIENT)
    try:
        assert say(client, "before") == "before"
        assert servers(house) == {"compute-0", "compute-1"}
        more = plan_of("dev", machines={"compute-2": {"address": "192.168.200.22"}})
        bundle = next(bundle for bundle in more.bundles if bundle.service == "load-balancer")
        house.write(CONFIG, str(bundle.files[0].text))
        master = house.read("/run/haproxy.pid").strip()
        assert house.run("kill", "-USR2", master).returncode == 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "compute-2" not in _servers_or_none(house) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert servers(house) == {"compute-0", "compute-1", "compute-2"}
        assert say(client, "after") == "after"
        fresh = inside(house, sys.executable, "-c", CLIENT)
        assert say(fresh, "fresh") == "fresh"
        fresh.kill()
        fresh.wait()
    finally:
        client.kill()
        client.wait()


# Answers each line with where it is.
NAMED = ECHO.replace("sendall(data)", 'sendall(sys.argv[1].encode() + b"\\n")')


def test_while_no_router_is_on_its_pool_the_others_are_reached_and_open_connections_outlive_the_move(
    new_house: NewHouse,
) -> None:
    house = new_house(plan_of("dev", machines={"infra-0": {"address": "192.168.200.40"}}))
    for address in ("192.168.200.20", "192.168.200.40"):
        house.run("ip", "addr", "add", f"{address}/24", "dev", "probe", probe=True)
    house.start(sys.executable, "-c", NAMED, "192.168.200.20", probe=True)
    house.until("/bin/sh", "-c", "ss -Hltn 'src 192.168.200.20 and sport = :80' | grep -q .", probe=True)
    house.start("haproxy", "-W", "-f", CONFIG, "-p", "/run/haproxy.pid")
    house.until("curl", "-fs", "-o", "/dev/null", "http://192.168.200.254:9000/")
    before = inside(house, sys.executable, "-c", CLIENT)
    try:
        assert say(before, "before") == "192.168.200.20"
        house.start(sys.executable, "-c", NAMED, "192.168.200.40", probe=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := _asked_anew(house)) != "192.168.200.40" and time.monotonic() < deadline:
            assert found == "192.168.200.20", "a new connection reached nobody"
        assert found == "192.168.200.40"
        assert say(before, "after") == "192.168.200.20"
    finally:
        before.kill()
        before.wait()


def _asked_anew(house: House) -> str:
    fresh = inside(house, sys.executable, "-c", CLIENT)
    try:
        return say(fresh, "fresh")
    finally:
        fresh.kill()
        fresh.wait()


def _servers_or_none(house: House) -> set[str]:
    try:
        return servers(house)
    except OSError:
        return set()


def test_a_refused_configuration_leaves_the_running_one(house: House) -> None:
    good = house.read(CONFIG)
    house.write(CONFIG, good.replace("balance source", "balance on-a-pin"))
    try:
        assert house.run("haproxy", "-c", "-f", CONFIG).returncode != 0
        house.run("kill", "-USR2", house.read("/run/haproxy.pid").strip())
        time.sleep(1)
        assert house.run("curl", "-fs", "-o", "/dev/null", "http://192.168.200.254:9000/").returncode == 0
    finally:
        house.write(CONFIG, good)
