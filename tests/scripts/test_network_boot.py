"""A machine boots as far as the services can see: the agent's account of it, from logs of the real daemons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scripts import services
from tests.scripts.host import SCRIPTS, Host, wait_for

pytestmark = pytest.mark.daemons

UUID = "6f2c1a2e-7a55-4b6e-9d5c-0123456789ab"
ADDRESS, MAC = services.MACHINES["bootstrap"]
NAME = f"bootstrap.{services.DOMAIN}"
HTTP = f"http://{services.ADDRESS}:8080"
# The rows of the miniature boot image's report.
SAID = {
    "uuid": UUID,
    "hostname": NAME,
    "address": ADDRESS,
    "router": services.ADDRESS,
    "dns": services.ADDRESS,
    "lookup": "ok",
    "ptr": NAME,
    "ntp": services.ADDRESS,
    "offset": "-0.123456",
    "domain": services.DOMAIN,
    "nextserver": services.ADDRESS,
    "bootfile": "lpxelinux.0",
}
LEASE = f"from okd_host.smoke import dhcp; print(dhcp.Client('eth0', '{MAC}', '{MAC}').lease(dhcp.PXE).address)"


class Guest:
    """A namespace with the machine's card in the bridge."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.sh("ip netns add guest")
        host.sh("ip link add tap master cluster up type veth peer name eth0 netns guest")
        host.sh(f"ip -n guest link set eth0 address {MAC} up")

    def lease(self) -> None:
        argv = ("ip", "netns", "exec", "guest", "env", f"PYTHONPATH={SCRIPTS}", "/usr/bin/python3", "-c", LEASE)
        assert self.host.run(*argv) == f"{ADDRESS}\n"
        self.host.sh(f"ip -n guest address add {ADDRESS}/24 dev eth0")

    def get(self, *paths: str) -> None:
        for path in paths:
            self.host.run("ip", "netns", "exec", "guest", "curl", "-fsS", "-o", "/dev/null", f"{HTTP}{path}")

    def report(self, **other: str) -> None:
        self.get("/report?" + "&".join(f"{key}={value}" for key, value in {**SAID, **other}.items()))


@pytest.fixture
def guest(host: Host) -> Iterator[Guest]:
    services.prepare(host)
    for path in ("images/initramfs", "images/rootfs", "ignition/bootstrap.ign"):
        host.write(f"/srv/www/{path}", "content\n")
    services.start(host)
    return Guest(host)


def document(minutes: float = 0.35, **more: Any) -> dict[str, Any]:
    expected = {
        **{key: SAID[key] for key in ("address", "hostname", "router", "dns", "ntp", "domain", "nextserver")},
        "bootfile": {"pxe": "lpxelinux.0", "ipxe": services.IPXE},
        "kernel": "/images/kernel",
        "initramfs": "/images/initramfs",
        "rootfs": "/images/rootfs",
        "ignition": "/ignition/bootstrap.ign",
    }
    machine = {
        "name": "bootstrap",
        "fqdn": NAME,
        "role": "bootstrap",
        "mac": MAC,
        "address": ADDRESS,
        "uuid": UUID,
        "reportsBack": True,
        "expected": expected,
        "units": {"dhcp": "kea-dhcp4-server.service", "tftp": "tftpd-hpa.service", "http": "nginx.service"},
        "logs": {
            "http": "/var/log/nginx/boot.log",
            "report": "/var/log/nginx/report.log",
            "leases": "/run/kea/leases.csv",
        },
    }
    api = {"url": f"https://api.{services.DOMAIN}:6443", "address": services.ADDRESS}
    return {"api": api, "machine": machine | more, "limitMinutes": minutes}


def test_a_boot_is_followed_to_its_ignition_config_while_it_happens(guest: Guest) -> None:
    agent = guest.host.start_agent("node-join", document(minutes=10))
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel", "/images/initramfs")
    guest.report()
    guest.get("/images/rootfs", "/ignition/bootstrap.ign")
    output = wait_for(agent, "stage 1/6 boot: /ignition/bootstrap.ign")
    guest.host.kill_agent()
    agent.communicate()
    assert len([line for line in output.splitlines() if line.endswith("| ok")]) == 17


def test_a_machine_that_is_up_and_asked_for_nothing_booted_before_this_host(guest: Guest) -> None:
    guest.host.agent("smoke", document=services.document(guest.host))
    guest.host.sh(f"ip -n guest address add {ADDRESS}/24 dev eth0")
    done = guest.host.agent("node-join", document=document(minutes=0.05))
    assert "stage 1/6 boot: up since before this services host was built" in done.stdout


def test_a_smoke_check_is_not_taken_for_the_machine(guest: Guest) -> None:
    smoke = guest.host.agent("smoke", document=services.document(guest.host))
    assert smoke.returncode == 0
    done = guest.host.agent("node-join", document=document(minutes=0.05))
    assert done.returncode == 1
    assert "stage 1/6 boot failed: bootstrap did not get past: lease; not within 0.05 minutes" in done.stderr


def test_a_machine_that_got_another_name_is_told_apart(guest: Guest) -> None:
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel", "/images/initramfs")
    guest.report(hostname="localhost")
    guest.get("/images/rootfs", "/ignition/bootstrap.ign")
    done = guest.host.agent("node-join", document=document())
    assert done.returncode == 1
    assert f"machine: hostname: localhost instead of {NAME}" in done.stderr


def test_a_boot_that_stops_halfway_names_the_stage_and_the_last_request(guest: Guest) -> None:
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel")
    done = guest.host.agent("node-join", document=document(minutes=0.05))
    assert done.returncode == 1
    assert "did not get past: initramfs" in done.stderr
    assert '"/images/kernel"' in done.stderr


def test_a_boot_image_that_does_not_report_is_done_with_its_ignition_config(guest: Guest) -> None:
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel", "/images/initramfs", "/images/rootfs", "/ignition/bootstrap.ign")
    done = guest.host.agent("node-join", document=document(minutes=0.05, reportsBack=False))
    assert "stage 1/6 boot: /ignition/bootstrap.ign" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.endswith("| ok")]) == 6
    assert "stage 2/6 machine config failed: bootstrap did not get past: machine config" in done.stderr
