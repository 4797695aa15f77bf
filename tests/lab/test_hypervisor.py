"""The lab's hypervisor: its own namespaces, nothing of the user's touched, nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import kvm
from lab.mountpoints import PRIVATE, owner
from tests.lab.conftest import Lab
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.lab

NETWORK = """<network><name>same</name><forward mode="nat"/><bridge name="same" stp="off"/>
<ip address="192.168.125.1" prefix="24"><dhcp><range start="192.168.125.2" end="192.168.125.9"/></dhcp></ip></network>"""
GUEST = """<domain type="qemu"><name>idle</name><memory unit="MiB">64</memory>
<os><type arch="x86_64" machine="pc">hvm</type></os>
<devices><interface type="network"><source network="same"/></interface></devices></domain>"""


def host() -> dict[str, str]:
    """What a lab could change on this machine, seen from outside."""

    def shown(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    addresses = [line.split("valid_lft")[0] for line in shown("ip", "-o", "addr").splitlines()]
    return {
        "links": shown("ip", "-o", "link"),
        "addresses": "\n".join(addresses),
        "routes": shown("ip", "route", "show", "table", "all"),
        "firewall": shown("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "users": Path("/etc/passwd").read_text(),
        "run": "\n".join(sorted(path.name for path in Path("/run").iterdir() if path.name != "libvirt")),
    }


def strangers() -> set[str]:
    """Labs on this machine besides the two copies, which are down when this is asked."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return {found for found in map(owner, pids) if found}


def define(lab: Lab, verb: str, text: str) -> None:
    path = lab.root / "definition.xml"
    path.write_text(text)
    lab.inside("virsh", verb, str(path))


def gone(pids: list[int]) -> bool:
    """Whether the processes have ended; a process just ended may stay a zombie until its parent looks."""
    states = [Path(f"/proc/{pid}/stat") for pid in pids]
    return not any(path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z" for path in states)


def test_two_labs_with_the_same_network_run_side_by_side_and_leave_nothing(labs: tuple[Lab, Lab]) -> None:
    for lab in labs:
        lab.ok("lab.hypervisor", "down")
    before, there = host(), {path: Path(path).exists() for path in PRIVATE}
    for lab in labs:
        lab.ok("lab.hypervisor", "up")
        define(lab, "net-create", NETWORK)
        define(lab, "create", GUEST)
    assert host() == before, "a running lab shows on the host"
    started = [pid for lab in labs for pids in lab.processes().values() for pid in pids]
    names = set(labs[0].processes())
    assert {"lab.holder", "libvirtd", "dnsmasq", "qemu-system-x86_64"} <= names
    for lab in labs:
        ended = lab.ok("lab.hypervisor", "down")
        # Taking the first one's directories away must not unmount the second one's.
        assert "ended libvirtd" in ended
        assert "ended qemu-system-x86_64" in ended
        assert "nothing left" in ended
        assert lab.processes() == {}
        assert not (lab.root / ".lab" / "hypervisor").exists()
    assert gone(started)
    assert host() == before
    # A lab of somebody else that came up meanwhile needs the directories, and removes them with its own end.
    assert strangers() or {path: Path(path).exists() for path in PRIVATE} == there


def test_down_without_a_lab_says_so(labs: tuple[Lab, Lab]) -> None:
    assert "no hypervisor ran" in labs[1].ok("lab.hypervisor", "down")


def test_up_again_changes_nothing(lab: Lab) -> None:
    before = lab.processes()
    assert "runs already" in lab.ok("lab.hypervisor", "up")
    assert lab.processes() == before


def test_enter_keeps_directory_exit_code_and_arguments(lab: Lab, tmp_path: Path) -> None:
    script = 'pwd; printf "%s|" "$@"; exit 7'
    done = lab.module("lab.hypervisor", "enter", "--", "sh", "-c", script, "sh", "a b", "$HOME", cwd=tmp_path)
    assert done.returncode == 7
    assert done.stdout == f"{tmp_path}\na b|$HOME|"


def test_enter_sets_the_engine_and_the_hypervisor(lab: Lab) -> None:
    shown = dict(line.split("=", 1) for line in lab.inside("env").splitlines() if "=" in line)
    assert shown["PATH"].startswith(f"{lab.root}/.lab/bin:")
    assert shown["PULUMI_HOME"] == f"{lab.root}/.lab/pulumi-home"
    assert shown["PULUMI_BACKEND_URL"] == f"file://{lab.root}/.lab/state"
    assert shown["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{lab.root}/.lab/passphrase"
    assert lab.inside("virsh", "uri").strip() == "qemu:///system"


def test_the_lab_has_devices_forwarding_and_libvirt_of_its_own(labs: tuple[Lab, Lab]) -> None:
    lab = labs[0]
    lab.ok("lab.hypervisor", "down")
    lab.ok("lab.hypervisor", "up")
    assert lab.inside("ls", "/sys/class/net").split() == ["lo"]
    assert "127.0.0.1" in lab.inside("ip", "-o", "addr", "show", "up", "dev", "lo")
    assert lab.inside("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
    for listing in ("net-list", "pool-list", "list"):
        assert lab.inside("virsh", listing, "--all", "--name").strip() == "", f"libvirt began with a {listing}"


def test_capabilities_offer_kvm_only_where_a_kernel_can_run_on_it(lab: Lab) -> None:
    offered = "<domain type='kvm'/>" in lab.inside("virsh", "capabilities")
    assert offered == (kvm.problem() is None)
    assert ("accelerator  KVM" in lab.ok("lab.hypervisor", "status")) == offered


@pytest.mark.parametrize("victim", ["lab.holder", "libvirtd"])
def test_up_mends_a_lab_that_lost_a_process(lab: Lab, victim: str) -> None:
    (pid,) = lab.processes()[victim]
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    lab.ok("lab.hypervisor", "up")
    assert {"lab.holder", "libvirtd"} <= set(lab.processes())
    assert lab.inside("virsh", "uri").strip() == "qemu:///system"


def test_down_ends_a_lab_that_lost_its_holder_and_its_libvirtd(lab: Lab) -> None:
    define(lab, "net-create", NETWORK)
    define(lab, "create", GUEST)
    found = lab.processes()
    for name in ("lab.holder", "libvirtd"):
        os.kill(found[name][0], signal.SIGKILL)
        wait_until_gone(found[name][0])
    assert "ended qemu-system-x86_64" in lab.ok("lab.hypervisor", "down")
    assert gone([pid for pids in found.values() for pid in pids])


def test_status_lists_processes_domains_and_networks(lab: Lab) -> None:
    define(lab, "net-create", NETWORK)
    shown = lab.ok("lab.hypervisor", "status")
    assert "libvirt 9." in shown or "libvirt 1" in shown
    assert "same" in shown
    assert "libvirtd (" in shown
    lab.inside("virsh", "net-destroy", "same")


def test_down_refuses_to_end_the_lab_that_it_runs_in(lab: Lab) -> None:
    argv = ["lab.hypervisor", "enter", "--", sys.executable, "-m", "lab.hypervisor", "down"]
    done = lab.module(*argv)
    assert done.returncode == 1
    assert "leave the lab's shell first" in done.stderr
    assert "libvirtd" in lab.processes()


def test_entering_no_lab_says_how_to_start_one(labs: tuple[Lab, Lab]) -> None:
    done = labs[1].module("lab.hypervisor", "enter", "--", "true")
    assert done.returncode == 1
    assert "python3 -m lab.hypervisor up" in done.stderr


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not gone([pid]):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.05)
