"""The rendered files in real daemons, asked from a card on the cluster network."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cluster import dns
from tests.patience import PATIENCE_SECONDS
from tests.rendering.certificates import PASSWORD, USER
from tests.rendering.conftest import NewHouse, plan_of
from tests.rendering.house import House

pytestmark = pytest.mark.daemons
CLIENT = str(Path(__file__).with_name("dhcp_client.py"))
STATUS = ("curl", "-s", "--max-time", str(PATIENCE_SECONDS), "-o", "/dev/null", "-w", "%{http_code}")
NTP = (
    "import socket, struct, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5);"
    "s.sendto(b'\\x23' + bytes(47), (sys.argv[1], 123)); a = s.recv(512); print(a[0] & 7, a[1], a[0] >> 6)"
)


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> House:
    return new_house(plan_of("hard-way"))


class TestDns:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def named(cls, house: House) -> None:
        house.start("named", "-g", "-c", "/etc/bind/named.conf")
        house.until("dig", "@192.168.200.254", "services.okd.example.com", "+short", "+time=1", probe=True)

    def test_every_record_is_answered_with_authority(self, house: House) -> None:
        for name in {record.name for record in dns.records(house.plan)}:
            records = {record for record in dns.records(house.plan) if record.name == name}
            kind = next(iter(records)).type
            done = house.run("dig", "@192.168.200.254", name, kind, "+norecurse", "+time=60", probe=True)
            assert re.search(r"flags:[a-z ]* aa", done.stdout), done.stdout
            got = set(re.findall(rf"\sIN\s+{kind}\s+(\S+)", done.stdout.split("ANSWER SECTION")[1].split(";;")[0]))
            assert {value.removesuffix(".") for value in got} == {record.value for record in records}

    def test_a_name_that_is_not_there_is_denied(self, house: House) -> None:
        done = house.run("dig", "@192.168.200.254", "compute-9.okd.example.com", "+time=60", probe=True)
        assert "NXDOMAIN" in done.stdout

    def test_the_cluster_network_cannot_ask_for_the_outside(self, house: House) -> None:
        done = house.run("dig", "@192.168.200.254", "quay.io", "+time=60", "+tries=1", probe=True)
        assert "REFUSED" in done.stdout

    def test_zones_are_not_given_away(self, house: House) -> None:
        done = house.run("dig", "@192.168.200.254", "okd.example.com", "AXFR", "+time=60", "+tries=1", probe=True)
        assert "Transfer failed" in done.stdout


class TestDhcp:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def kea(cls, house: House) -> subprocess.Popen[bytes]:
        running = house.start("kea-dhcp4", "-c", "/etc/kea/kea-dhcp4.conf")
        listens = "ss -Hlun 'src 192.168.200.254 and sport = :67' | grep -q ."
        house.until("/bin/sh", "-c", listens)
        return running

    @staticmethod
    def lease(house: House, *words: str) -> dict[str, Any] | None:
        done = house.run(sys.executable, CLIENT, "probe", *words, probe=True)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] | None = json.loads(done.stdout)
        return answer

    @classmethod
    def leased(cls, house: House, *words: str) -> dict[str, Any]:
        """The lease of a card that gets one: a slow server is asked again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (answer := cls.lease(house, *words)):
            assert time.monotonic() < deadline, "no lease"
        return answer

    def test_every_machine_gets_its_address_name_and_options(self, house: House) -> None:
        for machine in house.plan.machines:
            assert self.leased(house, machine.mac) == {
                "address": str(machine.address),
                "hostname": machine.fqdn,
                "next_server": "192.168.200.254",
                "boot_file": "lpxelinux.0",
                "seconds": 86400,
                "netmask": "255.255.255.0",
                "router": "192.168.200.254",
                "dns": "192.168.200.254",
                "ntp": "192.168.200.254",
                "domain": "okd.example.com",
            }

    def test_ipxe_gets_its_script(self, house: House) -> None:
        lease = self.leased(house, "f8:75:a4:ac:01:00", "iPXE")
        assert lease["boot_file"] == "http://192.168.200.254:8080/boot/boot.ipxe"

    def test_an_unknown_card_is_not_answered(self, house: House) -> None:
        assert self.lease(house, "52:54:00:00:00:01") is None

    def test_a_changed_reservation_is_taken_up_without_a_restart(
        self, house: House, kea: subprocess.Popen[bytes]
    ) -> None:
        path = house.plan.host_os.dhcp.config
        good = house.read(path)
        house.write(path, good.replace("192.168.200.22", "192.168.200.29"))
        kea.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_SECONDS
        address = None
        while address != "192.168.200.29" and time.monotonic() < deadline:
            address = (self.lease(house, "f8:75:a4:ac:02:02") or {}).get("address")
        house.write(path, good)
        assert address == "192.168.200.29"
        assert kea.poll() is None


def test_time_is_served_even_when_no_server_answers_us(house: House) -> None:
    house.start("chronyd", "-x", "-d", "-f", "/etc/chrony/chrony.conf", "-u", "root")
    done = house.until(sys.executable, "-c", NTP, "192.168.200.254", probe=True)
    mode, stratum, leap = done.stdout.split()
    assert (mode, stratum) == ("4", "10"), done.stderr
    assert leap != "3", "3 says that the clock is not set, and clients ignore it"


def test_boot_files_come_over_tftp(house: House) -> None:
    argv = ("in.tftpd", "--foreground", "--listen", "--user", "root", "--address", "192.168.200.254:69")
    house.start(*argv, "--secure", "/srv/tftp")
    url = "tftp://192.168.200.254"
    done = house.until("curl", "-fs", "--max-time", "60", f"{url}/pxelinux.cfg/01-f8-75-a4-ac-03-01", probe=True)
    assert done.stdout == house.read("/srv/tftp/pxelinux.cfg/01-f8-75-a4-ac-03-01")
    size = house.run("curl", "-fs", "-o", "/dev/null", "-w", "%{size_download}", f"{url}/lpxelinux.0", probe=True)
    assert int(size.stdout) == Path("/usr/lib/PXELINUX/lpxelinux.0").stat().st_size


class TestHttp:
    URL = "http://192.168.200.254:8080"

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def nginx(cls, house: House) -> None:
        house.write("/var/www/okd/ignition/master.ign", "{}\n")
        house.start("nginx", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;")
        house.until("curl", "-fs", "-o", "/dev/null", f"{cls.URL}/boot/boot.ipxe", probe=True)

    def test_scripts_and_ignition_configs_are_served_and_nothing_is_listed(self, house: House) -> None:
        answers = {
            "/boot/mac-f8-75-a4-ac-01-00.ipxe": "200",
            "/ignition/master.ign": "200",
            "/ignition/": "403",
            "/boot/": "403",
            "/no-such-file": "404",
        }
        got = {path: house.run(*STATUS, f"{self.URL}{path}", probe=True).stdout for path in answers}
        assert got == answers

    def test_ignition_configs_and_reports_are_for_the_cluster_network_only(self, house: House) -> None:
        house.run("ip", "addr", "add", "10.9.9.9/24", "dev", "probe", probe=True)
        house.run("ip", "addr", "add", "10.9.9.1/24", "dev", "cluster")
        for path in ("/ignition/master.ign", "/report"):
            done = house.run(*STATUS, "--interface", "10.9.9.9", f"{self.URL}{path}", probe=True)
            assert done.stdout == "403", path

    def test_each_request_is_one_line_of_json(self, house: House) -> None:
        query = "uuid=1-2-3&name=bootstrap&hostname=a%22b"
        assert house.run(*STATUS, f"{self.URL}/report?{query}", probe=True).stdout == "204"
        (row,) = [
            row for row in map(json.loads, house.read("/var/log/nginx/report.log").splitlines()) if row["status"] == 204
        ]
        assert (row["args"], row["uri"], row["address"]) == (query, "/report", "192.168.200.253")
        boot = [json.loads(line) for line in house.read("/var/log/nginx/boot.log").splitlines()]
        assert {"time", "address", "method", "uri", "args", "status", "bytes", "agent", "seconds"} == set(boot[0])


class TestRegistry:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def registry(cls, house: House) -> None:
        house.start("docker-registry", "serve", "/etc/docker/registry/config.yml")
        assert (
            house.until("curl", "-sk", "-o", "/dev/null", "https://192.168.200.254:5000/v2/", probe=True).returncode
            == 0
        )

    def test_verified_tls_and_a_password(self, house: House) -> None:
        resolve = ("--resolve", "services.okd.example.com:5000:192.168.200.254")
        url = "https://services.okd.example.com:5000/v2/"
        trusting = (*STATUS, *resolve, "--cacert", "/etc/docker/registry/tls/ca.crt", url)
        assert house.run(*trusting, "-u", f"{USER}:{PASSWORD}", probe=True).stdout == "200"
        assert house.run(*trusting, "-u", f"{USER}:wrong", probe=True).stdout == "401"
        assert house.run(*trusting, probe=True).stdout == "401"
        untrusting = house.run("curl", "-sS", *resolve, url, probe=True)
        assert "certificate" in untrusting.stderr

    def test_its_health_check_is_true(self, house: House) -> None:
        bundle = next(bundle for bundle in house.plan.bundles if bundle.service == "registry")
        (check,) = [health for health in bundle.health if "verified TLS" in health.name]
        assert house.run(*check.argv).returncode == 0
