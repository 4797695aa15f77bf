"""A machine boots as far as the services can see: the agent's account of it, from logs of the real daemons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.scripts import services
from tests.scripts.host import SCRIPTS, Host

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
    host.write("/srv/www/images/initramfs", "initramfs\n")
    services.start(host)
    return Guest(host)


def document(**more: Any) -> dict[str, Any]:
    expected = {
        **{key: SAID[key] for key in ("address", "hostname", "router", "dns", "ntp", "domain", "nextserver")},
        "bootfile": {"pxe": "lpxelinux.0", "ipxe": services.IPXE},
        "kernel": "/images/kernel",
        "initramfs": "/images/initramfs",
    }
    return {
        "name": "bootstrap",
        "mac": MAC,
        "address": ADDRESS,
        "uuid": UUID,
        "timeoutSeconds": 20,
        "reportsBack": True,
        "expected": expected,
        "units": {"dhcp": "kea-dhcp4-server.service", "tftp": "tftpd-hpa.service", "http": "nginx.service"},
        "logs": {
            "http": "/var/log/nginx/boot.log",
            "report": "/var/log/nginx/report.log",
            "leases": "/run/kea/leases.csv",
        },
        **more,
    }


def test_a_boot_is_followed_stage_by_stage_while_it_happens(guest: Guest) -> None:
    agent = guest.host.start_agent("await-boot", document())
    assert agent.stdout
    guest.lease()
    assert agent.stdout.readline().startswith(f"stage 1/5 lease: {ADDRESS}")
    guest.get("/boot/boot.ipxe")
    assert agent.stdout.readline().startswith(f"stage 2/5 boot file: {services.IPXE}")
    guest.get("/images/kernel", "/images/initramfs")
    guest.report()
    output, errors = agent.communicate(timeout=30)
    assert agent.returncode == 0, output + errors
    assert "stage 5/5 report" in output
    assert len([line for line in output.splitlines() if line.endswith("| ok")]) == 15


def test_a_machine_that_is_up_and_asked_for_nothing_booted_before_this_host(guest: Guest) -> None:
    guest.host.agent("smoke", document=services.document(guest.host))
    guest.host.sh(f"ip -n guest address add {ADDRESS}/24 dev eth0")
    done = guest.host.agent("await-boot", document=document())
    assert done.returncode == 0
    assert "since before this services host was built" in done.stdout


def test_a_smoke_check_is_not_taken_for_the_machine(guest: Guest) -> None:
    smoke = guest.host.agent("smoke", document=services.document(guest.host))
    assert smoke.returncode == 0
    done = guest.host.agent("await-boot", document=document(timeoutSeconds=3))
    assert done.returncode == 1
    assert "stage 1/5 lease failed: bootstrap did not come to this stage within 3 s" in done.stderr


def test_a_machine_that_got_another_name_is_told_apart(guest: Guest) -> None:
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel", "/images/initramfs")
    guest.report(hostname="localhost")
    done = guest.host.agent("await-boot", document=document())
    assert done.returncode == 1
    assert f"machine: hostname: localhost instead of {NAME}" in done.stderr


def test_a_boot_that_stops_halfway_names_the_stage_and_the_last_request(guest: Guest) -> None:
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel")
    done = guest.host.agent("await-boot", document=document(timeoutSeconds=3))
    assert done.returncode == 1
    assert "stage 4/5 initramfs failed" in done.stderr
    assert '"/images/kernel"' in done.stderr


def test_a_boot_image_that_does_not_report_is_done_with_its_initramfs(guest: Guest) -> None:
    guest.lease()
    guest.get("/boot/boot.ipxe", "/images/kernel", "/images/initramfs")
    done = guest.host.agent("await-boot", document=document(reportsBack=False))
    assert done.returncode == 0
    assert json.dumps("report") not in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.endswith("| ok")]) == 4
