"""The images boot under the lab's libvirt: the services host from its disk, a machine with the boot image."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import kvm
from lab.image import rootfs
from tests.lab import guests
from tests.lab.conftest import Lab
from tests.patience import BOOT_SECONDS

# Every bring-up of `make test` boots both images; the end to end asks its services host for the same facts.
pytestmark = [pytest.mark.lab, pytest.mark.extended]

KIND = "qemu" if kvm.problem() else "kvm"
AHEAD_SECONDS = 40.25
CYCLES = "sudo journalctl -b --no-pager | grep -c 'Found ordering cycle' || :"


def define(lab: Lab, verb: str, text: str) -> None:
    path = lab.root / "definition.xml"
    path.write_text(text)
    lab.inside("virsh", verb, str(path))


@dataclass
class Services:
    """A services host that has been started, and how to log in to it."""

    lab: Lab
    keys: Path
    seconds: float = 0.0

    def ssh(self, command: str, known: str = "known") -> subprocess.CompletedProcess[str]:
        options = [f"UserKnownHostsFile={self.keys / known}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
        words = [word for option in [*options, "ConnectTimeout=120"] for word in ("-o", option)]
        argv = ["ssh", "-i", str(self.keys / "login"), *words, f"okd@{guests.UPLINK}", command]
        return self.lab.module("lab.hypervisor", "enter", "--", *argv)

    def ok(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def wait_for_the_end_of_the_boot(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while self.ok("systemctl is-system-running; true") == "starting":
            assert time.monotonic() < deadline, "the boot does not end"
            time.sleep(2)


@pytest.fixture(scope="module")
def lab_with_images(labs: tuple[Lab, Lab]) -> Lab:
    lab = labs[0]
    lab.ok("lab.image", "build")
    lab.ok("lab.hypervisor", "up")
    return lab


@pytest.fixture(scope="module")
def services(lab_with_images: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    lab, keys = lab_with_images, tmp_path_factory.mktemp("keys")
    for name in ("login", "host", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    public = {name: (keys / f"{name}.pub").read_text().strip() for name in ("login", "host", "other")}
    (keys / "known").write_text(f"{guests.UPLINK} {public['host']}\n")
    (keys / "wrong").write_text(f"{guests.UPLINK} {public['other']}\n")
    files = guests.seed(keys, public["login"], (keys / "host").read_text(), public["host"])
    iso, disk = keys / "seed.iso", keys / "root.qcow2"
    subprocess.run(["mkisofs", "-quiet", "-V", "cidata", "-J", "-r", "-o", iso, *files], check=True)
    base = (lab.root / ".lab" / "images" / "services-debian-12.qcow2").resolve()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, disk, "6G"], check=True)
    for network in (guests.ISOLATED, guests.NAT):
        define(lab, "net-create", network)
    started = time.monotonic()
    define(lab, "create", guests.services(disk, iso, keys / "console.log", KIND))
    host = Services(lab, keys)
    while (answer := host.ssh("true")).returncode:
        if time.monotonic() - started > BOOT_SECONDS:
            console = (keys / "console.log").read_text(errors="replace")[-3000:]
            pytest.fail(f"no login after {BOOT_SECONDS} s: {answer.stderr}\n{console}")
        time.sleep(0.5)
    host.seconds = time.monotonic() - started
    print(
        f"\nservices host: login {host.seconds:.1f} s after its start, load {os.getloadavg()[0]:.1f}", file=sys.stderr
    )
    yield host
    lab.inside("virsh", "destroy", "services")
    for name in ("cluster", "uplink"):
        lab.inside("virsh", "net-destroy", name)


def test_the_services_host_is_who_its_seed_says(services: Services) -> None:
    assert services.ok("hostname") == "services"
    assert services.ok("sudo id -u") == "0"


def test_another_host_key_than_the_pinned_one_is_refused(services: Services) -> None:
    answer = services.ssh("true", known="wrong")
    assert answer.returncode == 255
    assert "Host key verification failed" in answer.stderr


def test_the_cluster_bridge_has_the_address_and_the_card(services: Services) -> None:
    assert f"{guests.CLUSTER}/24" in services.ok("ip -o -4 addr show dev cluster")
    assert "master cluster" in services.ok("ip -o link show dev clusternic")
    assert f"{guests.UPLINK}/24" in services.ok("ip -o -4 addr show dev uplink")
    assert services.ok("ip -4 route show default") == "default via 192.168.125.1 dev uplink proto static"


def test_no_service_runs_before_it_is_configured(services: Services) -> None:
    units = [daemon.unit for daemon in rootfs.DAEMONS]
    assert set(services.ok(f"systemctl is-active {' '.join(units)} | sort -u; true").split()) == {"inactive"}
    enabled = dict(zip(units, services.ok(f"systemctl is-enabled {' '.join(units)}; true").split(), strict=True))
    # As on Debian's own image, where it is not installed in cloud-init's one boot.
    assert enabled.pop("firewalld.service") == "disabled"
    assert set(enabled.values()) == {"enabled"}


def test_nothing_failed_at_the_first_boot(services: Services) -> None:
    services.wait_for_the_end_of_the_boot()
    assert services.ok("cloud-init status") == "status: done"
    assert services.ok("systemctl list-units --failed --no-legend") == ""
    assert services.ok(CYCLES) == "0"


def test_the_root_file_system_has_grown_to_its_disk(services: Services) -> None:
    assert int(services.ok("df --output=size --block-size=1M / | tail -1")) > 5500


def test_nobody_logs_in_with_a_password_and_the_image_brought_no_host_key(services: Services) -> None:
    assert services.ok("sudo passwd --status root").split()[1] == "L"
    effective = services.ok("sudo sshd -T").splitlines()
    assert "passwordauthentication no" in effective
    assert "permitrootlogin no" in effective
    assert services.ok("ls /etc/ssh/ssh_host_*_key") == "/etc/ssh/ssh_host_ed25519_key"


def test_the_kernel_brings_what_deliveries_and_checks_need(services: Services) -> None:
    services.ok("sudo modprobe -a overlay bridge veth nf_tables")
    services.ok(
        "sudo unshare --mount sh -c 'mkdir -p /run/u /run/w && mount -t overlay x -o lowerdir=/etc,upperdir=/run/u,workdir=/run/w /etc'"
    )
    services.ok(
        "sudo ip netns add probe && sudo ip link add one type veth peer name two netns probe && sudo ip netns del probe"
    )


def test_a_configured_firewall_starts_at_once_and_at_the_next_boot(services: Services) -> None:
    drop_in = "/etc/systemd/system/firewalld.service.d"
    services.ok(f"sudo mkdir {drop_in} && sudo touch {drop_in}/okd-libvirt.conf")
    services.ok("sudo systemctl daemon-reload && sudo systemctl enable --now firewalld")
    # What the host agent's `ready` leaves.
    services.ok("sudo touch /etc/cloud/cloud-init.disabled")
    assert services.ok("sudo firewall-cmd --state") == "running"
    before = services.ok("cat /proc/sys/kernel/random/boot_id")
    services.ssh("sudo systemctl reboot")
    deadline = time.monotonic() + BOOT_SECONDS
    while services.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip() in ("", before):
        assert time.monotonic() < deadline, "no login after the reboot"
        time.sleep(1)
    services.wait_for_the_end_of_the_boot()
    assert services.ok("sudo firewall-cmd --state") == "running"
    assert services.ok(CYCLES) == "0"


def test_a_machine_reports_what_the_network_gave_it(lab_with_images: Lab, tmp_path: Path) -> None:
    lab, boot, address = lab_with_images, lab_with_images.root / ".lab" / "images" / "boot", "192.168.77.1"
    define(lab, "net-create", guests.SERVED)
    server = [sys.executable, str(Path(__file__).with_name("report_server.py")), address, str(AHEAD_SECONDS)]
    argv = [sys.executable, "-m", "lab.hypervisor", "enter", "--", *server]
    console, url = tmp_path / "console.log", f"http://{address}:8090/report"
    with subprocess.Popen(argv, cwd=lab.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as taking:
        try:
            kernel, initramfs = ((boot / name).resolve() for name in ("kernel", "initramfs"))
            define(lab, "create", guests.machine(kernel, initramfs, console, KIND, url))
            uuid = lab.inside("virsh", "domuuid", "machine").strip()
            shown, _ = taking.communicate(timeout=BOOT_SECONDS)
        finally:
            taking.kill()
    got = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(shown.strip()).query, keep_blank_values=True))
    offset, seconds = float(got.pop("offset")), float(got.pop("seconds"))
    assert got == {
        "uuid": uuid,
        "name": "compute-0",
        "hostname": "compute-0",
        "address": "192.168.77.5",
        "router": address,
        "dns": address,
        "lookup": "ok",
        "ptr": "compute-0.okd.lab.example",
        "ntp": address,
        "domain": "okd.lab.example",
        "nextserver": address,
        "bootfile": "lpxelinux.0",
        "kernel": "http://192.168.77.1/kernel",
        "initramfs": "",
    }
    # The machine's clock starts on a whole second of the host's, and answers may take seconds.
    assert abs(offset - AHEAD_SECONDS) < 20
    assert seconds > 0
    deadline = time.monotonic() + BOOT_SECONDS
    while "done, idle" not in console.read_text(errors="replace"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "miniature boot image" in console.read_text(errors="replace")
    lab.inside("virsh", "destroy", "machine")
    lab.inside("virsh", "net-destroy", "served")
