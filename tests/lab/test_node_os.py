"""A miniature machine from power-on to a login: installed from the network, started from its disk, and its faults."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import kvm
from tests.lab import guests
from tests.lab.conftest import Lab
from tests.patience import BOOT_SECONDS

# Every bring-up of `make test` installs six of these machines; here each is alone, and has its faults.
pytestmark = [pytest.mark.lab, pytest.mark.extended]

KIND = "qemu" if kvm.problem() else "kvm"
SERVER, MACHINE, NAME = "192.168.78.1", "192.168.78.5", "compute-0.okd.lab.example"
AHEAD_SECONDS = 40.0


def certificate(directory: Path) -> str:
    """Write tls.pem for api-int; return the certificate, which is its own authority."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=24))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api-int.okd.lab.example")]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "tls.pem").write_bytes(private + public)
    return public.decode()


def data(text: str) -> str:
    return f"data:text/plain;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


# Without it the installed system prints nowhere that anybody reads.
LIVE_CONFIG = json.dumps(
    {
        "ignition": {"version": "3.2.0"},
        "storage": {
            "files": [
                {
                    "path": "/etc/coreos/installer.d/consoles.yaml",
                    "contents": {"source": "data:,append-karg:%0A-%20console=tty0%0A-%20console=ttyS0,115200n8%0A"},
                }
            ]
        },
    }
)


@dataclass
class Site:
    """What machines are installed from, and the machine that is."""

    lab: Lab
    root: Path
    name: str = ""

    @property
    def console(self) -> str:
        path = self.root / f"{self.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def paths(self) -> list[str]:
        """What was asked for so far."""
        return (self.root / "requests").read_text().splitlines()

    @contextlib.contextmanager
    def machine(self, name: str, *arguments: str) -> Iterator[Site]:
        """Start a machine with an empty disk and these kernel arguments; it is removed in the end."""
        made = dataclasses.replace(self, name=name)
        url = f"http://{SERVER}:8090"
        words = [
            f"console=ttyS0 coreos.inst.install_dev=/dev/vda coreos.inst.ignition_url={url}/worker.ign",
            f"coreos.live.rootfs_url={url}/rootfs okd.report={url}/report",
            f"ignition.firstboot ignition.platform.id=metal ignition.config.url={url}/live.ign",
            *arguments,
        ]
        lines = [f"kernel {url}/kernel initrd=initramfs {' '.join(words)}", f"initrd --name initramfs {url}/initramfs"]
        (self.root / "http" / "live.ign").write_text(LIVE_CONFIG)
        (self.root / "http" / "boot.ipxe").write_text("\n".join(["#!ipxe", *lines, "boot", ""]))
        disk = self.root / f"{name}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "2G"], check=True)
        definition = self.root / "definition.xml"
        definition.write_text(guests.installable(name, disk, self.root / f"{name}.log", KIND))
        self.lab.inside("virsh", "define", str(definition))
        try:
            made.virsh("start")
            yield made
        finally:
            if made.virsh("domstate") != "shut off":
                made.virsh("destroy")
            made.virsh("undefine")
            disk.unlink()

    def virsh(self, verb: str) -> str:
        return self.lab.inside("virsh", verb, self.name).strip()

    def await_console(self, pattern: str, after: int = 0) -> re.Match[str]:
        """Wait for a line on the console, from the given offset on."""
        deadline = time.monotonic() + BOOT_SECONDS
        while not (found := re.search(pattern, self.console[after:])):
            assert time.monotonic() < deadline, f"no {pattern!r} on the console:\n{self.console[-3000:]}"
            time.sleep(0.1)
        return found

    def await_off(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while self.virsh("domstate") != "shut off":
            assert time.monotonic() < deadline, "the machine does not power off"
            time.sleep(0.5)

    def ssh(self, command: str, key: str = "login", user: str = "core") -> subprocess.CompletedProcess[str]:
        options = [
            f"UserKnownHostsFile={self.root / self.name}.known",
            "StrictHostKeyChecking=accept-new",
            "BatchMode=yes",
        ]
        options += ["IdentitiesOnly=yes", "ConnectTimeout=120"]
        words = [word for option in options for word in ("-o", option)]
        argv = ["ssh", "-F", "/dev/null", "-i", str(self.root / key), *words, f"{user}@{MACHINE}", command]
        return self.lab.module("lab.hypervisor", "enter", "--", *argv)

    def ok(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def await_login(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while (done := self.ssh("true")).returncode:
            assert time.monotonic() < deadline, f"no login: {done.stderr}\n{self.console[-3000:]}"
            time.sleep(0.5)

    def requests(self, word: str) -> int:
        return sum(word in path for path in self.paths)

    def cpu_seconds(self) -> float:
        """What the machine's emulator has used so far."""
        pids = [pid for name, found in self.lab.processes().items() if name.startswith("qemu") for pid in found]
        ticks = [sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) for pid in pids]
        return sum(ticks) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def site(labs: tuple[Lab, Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    lab, root = labs[0], tmp_path_factory.mktemp("site")
    lab.ok("lab.image", "build")
    lab.ok("lab.hypervisor", "up")
    for name in ("http", "tls", "tls/config"):
        (root / name).mkdir()
    for name in ("kernel", "initramfs", "rootfs"):
        (root / "http" / name).symlink_to((lab.root / ".lab" / "images" / "boot" / name).resolve())
    for name in ("login", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
    authority = certificate(root)
    pointer = {
        "ignition": {
            "version": "3.2.0",
            "config": {"merge": [{"source": "https://api-int.okd.lab.example:22623/config/worker"}]},
            "security": {"tls": {"certificateAuthorities": [{"source": data(authority)}]}},
        }
    }
    served = {
        "ignition": {"version": "3.2.0"},
        "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": [(root / "login.pub").read_text().strip()]}]},
        "storage": {"files": [{"path": "/etc/miniature/role", "mode": 420, "contents": {"source": data("worker\n")}}]},
    }
    (root / "http" / "worker.ign").write_text(json.dumps(pointer))
    (root / "tls" / "config" / "worker").write_text(json.dumps(served))
    definition = root / "network.xml"
    definition.write_text(guests.INSTALLING)
    lab.inside("virsh", "net-create", str(definition))
    server = [sys.executable, str(Path(__file__).with_name("machine_server.py")), SERVER, str(root), str(AHEAD_SECONDS)]
    argv = [sys.executable, "-m", "lab.hypervisor", "enter", "--", *server]
    made = Site(lab, root)
    with (root / "requests").open("w") as log, subprocess.Popen(argv, cwd=lab.root, stdout=log) as serving:
        try:
            yield made
        finally:
            serving.kill()
    lab.inside("virsh", "net-destroy", "installing")


@pytest.fixture(scope="module")
def machine(site: Site) -> Iterator[Site]:
    """A machine that has been installed and answers."""
    began = time.monotonic()
    with site.machine("installed", "miniature.note=kept") as made:
        made.await_console("miniature boot image .* reported to")
        told = [f"report after {time.monotonic() - began:.0f} s, {made.cpu_seconds():.0f} CPU-seconds"]
        made.await_console("installed to /dev/vda, rebooting")
        told.append(f"installed after {time.monotonic() - began:.0f} s, {made.cpu_seconds():.0f}")
        made.await_login()
        told.append(f"login after {time.monotonic() - began:.0f} s, {made.cpu_seconds():.0f}")
        print(f"\nminiature machine: {'; '.join(told)}; load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        yield made


def test_a_machine_that_is_installed_reports_as_one_that_is_not(machine: Site) -> None:
    (report,) = [path for path in machine.paths if path.startswith("/report")]
    got = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(report).query, keep_blank_values=True))
    assert got["rootfs"] == str((machine.root / "http" / "rootfs").stat().st_size)
    assert (got["name"], got["address"], got["lookup"]) == ("compute-0", MACHINE, "ok")


def test_it_starts_from_its_disk_with_the_arguments_of_the_first_boot(machine: Site) -> None:
    assert machine.requests("/kernel") == 1
    journal = machine.ok("sudo journalctl -u systemd --no-pager")
    assert "started from the disk" in journal
    assert re.search(r"kernel arguments: .*console=ttyS0,115200n8 .*miniature\.note=kept", journal)
    assert "coreos" not in journal.lower().replace("miniature coreos", "")
    assert 'PRETTY_NAME="Miniature CoreOS (lab)"' in machine.ok("cat /etc/os-release")


def test_its_config_came_over_verified_tls_from_where_the_pointer_says(machine: Site) -> None:
    assert machine.requests("/config/worker") == 1
    journal = machine.ok("sudo journalctl -u ignition.service --no-pager")
    assert "GET https://api-int.okd.lab.example:22623/config/worker" in journal
    assert "Ignition finished: 1 files" in journal


def test_it_goes_by_the_networks_name_and_time(machine: Site) -> None:
    assert machine.ok("hostname") == NAME
    before = time.time()
    told = int(machine.ok("date +%s")) - AHEAD_SECONDS
    assert before - 5 < told < time.time() + 5


def test_only_core_with_the_configs_key_gets_in(machine: Site) -> None:
    assert machine.ssh("true", key="other").returncode == 255
    assert machine.ssh("true", user="root").returncode == 255


def test_a_command_that_it_does_not_know_says_what_it_is(machine: Site) -> None:
    done = machine.ssh("crictl ps")
    assert done.returncode == 127
    assert "miniature" in done.stderr


def test_a_reboot_starts_the_disk_and_applies_nothing_twice(machine: Site) -> None:
    seen = len(machine.console)
    assert machine.ssh("sudo systemctl reboot").returncode == 0
    machine.await_console("started from the disk", seen)
    machine.await_console("sshd: Server listening", seen)
    machine.await_login()
    assert machine.requests("/kernel") == 1
    assert machine.requests("/config/worker") == 1
    assert machine.console[seen:].count("applied before") == 1


def test_it_survives_having_its_power_cut(machine: Site) -> None:
    machine.virsh("destroy")
    seen = len(machine.console)
    machine.virsh("start")
    machine.await_console("sshd: Server listening", seen)
    machine.await_login()
    assert machine.requests("/kernel") == 1


def test_a_poweroff_over_ssh_powers_it_off(machine: Site) -> None:
    assert machine.ssh("sudo systemctl poweroff").returncode == 0
    machine.await_off()


def test_a_machine_whose_power_is_cut_while_it_is_installed_begins_anew(site: Site) -> None:
    before = site.requests("/kernel")
    with site.machine("cut", "miniature.fault=power-loss") as cut:
        cut.await_console("cuts its power in the midst of writing the disk")
        cut.await_off()
        cut.virsh("start")
        cut.await_console("installed to /dev/vda, rebooting")
        # Cut again, in the midst of the first start from the disk.
        seen = len(cut.console)
        cut.await_console("systemd: started from the disk", seen)
        cut.virsh("destroy")
        cut.virsh("start")
        cut.await_console("sshd: Server listening", seen)
        assert cut.requests("/kernel") == before + 2
        assert cut.console.count("cuts its power") == 1


def test_a_machine_with_a_wrong_clock_trusts_no_certificate_and_says_so(site: Site) -> None:
    with site.machine("late", "miniature.fault=clock") as late:
        late.await_console("the clock is three days slow on request")
        expired = r"certificate has expired or is not yet valid: current time \S+ is before"
        found = late.await_console(rf"ignition: GET error: .*{expired}")
        assert "/config/worker" in found.group()


def test_a_machine_that_refuses_its_config_names_the_reason_on_its_console(site: Site) -> None:
    with site.machine("refused", "miniature.fault=ignition") as refused:
        refused.await_console(
            r"Ignition failed: the config is invalid: refused on request \(miniature.fault=ignition\)"
        )
        refused.await_console("Entering emergency mode")


def test_a_machine_that_never_boots_asks_the_network_for_nothing_more(site: Site) -> None:
    before = site.requests("/rootfs")
    with site.machine("never", "miniature.fault=never-boots") as never:
        never.await_console(r"stops here on request \(miniature.fault=never-boots\)")
        time.sleep(3)
        assert never.requests("/rootfs") == before
        assert "udhcpc" not in never.console
