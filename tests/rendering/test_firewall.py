"""The zones in a real firewalld: what is open from the cluster network, and what is not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cluster.firewall import CLUSTER_PORTS
from tests.rendering.conftest import NewHouse, plan_of
from tests.rendering.house import House

pytestmark = pytest.mark.daemons
CLOSED = (22, 53000, 5001, 8081)
LISTEN = """
import socket, sys, time
held = [socket.create_server(("", int(port))) for port in sys.argv[1:]]
print("listening", flush=True)
while True:
    link = held[-1].accept()[0]
    while data := link.recv(64):
        link.sendall(data)
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
TALK = """
import socket, sys
link = socket.create_connection(("192.168.200.254", 22623), 600)
for line in sys.stdin:
    link.sendall(line.encode())
    print(link.recv(64).decode().strip(), flush=True)
"""


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> House:
    house = new_house(plan_of("dev"))
    tcp = [str(port.number) for port in CLUSTER_PORTS if port.protocol == "tcp"]
    house.start(sys.executable, "-c", LISTEN, *(str(port) for port in CLOSED), *tcp)
    house.run("mkdir", "-p", "/run/dbus")
    house.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
    house.start("firewalld", "--nofork", "--nopid")
    house.until("firewall-cmd", "--state")
    return house


def opens(house: House, port: int, address: str = "192.168.200.254") -> bool:
    return house.run(sys.executable, "-c", CONNECT, address, str(port), probe=True).returncode == 0


def test_its_health_check_is_true(house: House) -> None:
    bundle = next(bundle for bundle in house.plan.bundles if bundle.service == "firewall")
    (zones,) = [health for health in bundle.health if "zones" in health.name]
    assert house.run(*zones.argv).returncode == 0


def test_what_the_design_lists_is_open(house: House) -> None:
    for port in CLUSTER_PORTS:
        if port.protocol == "tcp":
            house.until(sys.executable, "-c", CONNECT, "192.168.200.254", str(port.number), probe=True)


def test_everything_else_is_closed_and_ssh_above_all(house: House) -> None:
    assert [port for port in CLOSED if opens(house, port)] == []


def test_the_uplinks_address_is_no_way_round(house: House) -> None:
    house.run("ip", "route", "add", "192.168.125.10", "via", "192.168.200.254", probe=True)
    assert not opens(house, 22, "192.168.125.10")


def test_a_boot_file_passes(house: House) -> None:
    # The data comes from another port than the one that was asked.
    argv = ("in.tftpd", "--foreground", "--listen", "--user", "root", "--address", "192.168.200.254:69")
    house.start(*argv, "--secure", "/srv/tftp")
    house.until("curl", "-fs", "--max-time", "60", "-o", "/dev/null", "tftp://192.168.200.254/lpxelinux.0", probe=True)


def test_a_reload_ends_no_connection(house: House) -> None:
    command = ["nsenter", "--target", str(house.probe_pid), "--net", sys.executable, "-c", TALK]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        for word in ("before", "after"):
            client.stdin.write(f"{word}\n")
            assert client.stdout.readline().strip() == word
            assert house.run("firewall-cmd", "--reload").returncode == 0
    finally:
        client.kill()
        client.wait()
