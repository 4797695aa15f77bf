"""A bundle's health checks fail while its daemon is down and hold once it is up."""

from __future__ import annotations

import sys

import pytest

from cluster.host_files import Health
from cluster.units import PROBE_SECONDS
from tests.rendering.conftest import NewHouse, plan_of
from tests.rendering.house import House

pytestmark = pytest.mark.daemons
DAEMONS: dict[str, list[str]] = {
    "time": ["chronyd", "-x", "-d", "-f", "/etc/chrony/chrony.conf", "-u", "root"],
    "dns": ["named", "-g", "-c", "/etc/bind/named.conf"],
    "dhcp": ["kea-dhcp4", "-c", "/etc/kea/kea-dhcp4.conf"],
    "boot": ["in.tftpd", "-L", "--user", "root", "--address", "192.168.200.254:69", "--secure", "/srv/tftp"],
    "http": ["nginx", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;"],
    "registry": ["docker-registry", "serve", "/etc/docker/registry/config.yml"],
    "load-balancer": ["haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"],
}


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> House:
    return new_house(plan_of("dev"))


def checks(house: House, service: str) -> list[Health]:
    """All but systemd's own word: there is no systemd in a house."""
    bundle = next(bundle for bundle in house.plan.bundles if bundle.service == service)
    return [health for health in bundle.health if "is-active" not in health.argv]


def argv(health: Health) -> tuple[str, ...]:
    if health.tcp is None:
        return health.argv
    host, _, port = health.tcp.partition(":")
    return (sys.executable, "-c", f"import socket; socket.create_connection(({host!r}, {port}), 3)")


@pytest.mark.parametrize("service", DAEMONS)
def test_health_tells_a_running_daemon_from_one_that_is_not(house: House, service: str) -> None:
    found = checks(house, service)
    assert found
    for health in found:
        # A datagram that nobody takes is waited for as long as a probe may take.
        soon = ["5" if word == PROBE_SECONDS else word for word in argv(health)]
        assert house.run(*soon).returncode, f"{health.name} holds although nothing runs"
    house.start(*DAEMONS[service])
    for health in found:
        house.until(*argv(health))
