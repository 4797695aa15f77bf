"""The look at a real libvirt, through the engine: what is found is told before anything is made, and nothing is touched."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.lab.conftest import Lab
from tests.lab.looking_program import LOOK, LookingProgram
from tests.patience import PATIENCE_SECONDS

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not (ROOT / ".lab" / "bin" / "pulumi").exists(), reason="needs the engine that `make toolchain` sets up"
    ),
]

POOL_PATH = "/var/lib/libvirt/images/okd-look"
FOREIGN_DOMAIN = """<domain type="qemu"><name>okd-look-compute-1</name><memory unit="MiB">64</memory>
<os><type arch="x86_64" machine="pc">hvm</type></os></domain>"""
FOREIGN_NETWORK = """<network><name>okd-look-cluster</name><bridge name="theirs0"/></network>"""
OTHER_NETWORK = """<network><name>other</name><forward mode="nat"/><bridge name="other0"/>
<ip address="192.168.130.129" prefix="25"/></network>"""
FOREIGN_POOL = f"""<pool type="dir"><name>mine</name><target><path>{POOL_PATH}</path></target></pool>"""
NO_CHANGES = "16 unchanged"


@pytest.fixture(scope="module")
def program(labs: tuple[Lab, Lab]) -> Iterator[LookingProgram]:
    labs[0].ok("lab.hypervisor", "up")
    made = LookingProgram(labs[0])
    yield made
    # The machine's settings may be those that a test left; a destroy does not read them.
    made.run("destroy", "--yes", "--skip-preview")


def virsh(program: LookingProgram, *words: str) -> str:
    return program.lab.inside("virsh", *words)


@contextmanager
def defined(program: LookingProgram, prefix: str, name: str, xml: str, *, started: bool = True) -> Iterator[None]:
    """An object of somebody else's in the lab's libvirt."""
    path = program.root / "foreign.xml"
    path.write_text(xml)
    virsh(program, f"{prefix}define", str(path))
    try:
        if started:
            virsh(program, f"{prefix}start", name)
        yield
    finally:
        if started:
            virsh(program, f"{prefix}destroy", name)
        virsh(program, f"{prefix}undefine", name)


def objects(program: LookingProgram) -> str:
    """All of libvirt's objects with their definitions, and the interfaces and rules that it makes."""
    names = {
        verb: virsh(program, words, "--all", "--uuid").split()
        for verb, words in {"dumpxml": "list", "net-dumpxml": "net-list", "pool-dumpxml": "pool-list"}.items()
    }
    dumps = [virsh(program, verb, uuid) for verb, uuids in names.items() for uuid in sorted(uuids)]
    # Of the rules, not the times and counters that stand in comments and policies.
    rules = program.lab.inside("sh", "-c", "iptables-save | sed '/^[#:]/d'")
    # A bridge takes a moment to notice the machines on it.
    links = program.lab.inside("sh", "-c", "ip -o link | sed -E 's/NO-CARRIER,|,LOWER_UP//g; s/ state [A-Z]+//'")
    return "\n".join([*dumps, links, program.lab.inside("ip", "-o", "-4", "addr"), rules])


def test_1_a_preview_of_a_new_stack_has_no_finding_and_touches_nothing(program: LookingProgram) -> None:
    before = objects(program)
    text = program.preview()
    assert "16 to create" in text
    assert "warning:" not in text
    assert "error:" not in text
    assert objects(program) == before
    assert not program.lab.inside("sh", "-c", f"ls -d {POOL_PATH} 2>/dev/null; true").strip()


def test_2_what_is_somebody_elses_is_refused_and_left_alone(program: LookingProgram) -> None:
    with defined(program, "", "okd-look-compute-1", FOREIGN_DOMAIN):
        before = objects(program)
        done = program.run("up", "--yes", "--skip-preview")
        assert done.returncode != 0
        text = " ".join((done.stdout + done.stderr).split())
        assert "virsh -c qemu:///system undefine --nvram okd-look-compute-1" in text
        assert "Traceback" not in text
        assert objects(program) == before


@pytest.mark.parametrize(
    ("name", "xml", "told"),
    [
        ("okd-look-cluster", FOREIGN_NETWORK, "net-undefine okd-look-cluster"),
        ("other", OTHER_NETWORK, "libvirt's network other (192.168.130.128/25) is on these addresses"),
    ],
)
def test_2_a_network_of_somebody_elses_is_refused(program: LookingProgram, name: str, xml: str, told: str) -> None:
    with defined(program, "net-", name, xml):
        text = program.findings()
    assert text.startswith("refused: ")
    assert told in text


def test_2_a_pool_in_our_directory_is_refused(program: LookingProgram) -> None:
    program.lab.inside("mkdir", "-p", POOL_PATH)
    with defined(program, "pool-", "mine", FOREIGN_POOL, started=False):
        assert "libvirt has pool mine in this directory" in program.findings()
    program.lab.inside("rmdir", POOL_PATH)


def test_2_a_leftover_bridge_is_refused(program: LookingProgram) -> None:
    found = program.lab.ok("lab.hypervisor", "enter", "--", "ip", "-o", "link")
    assert "okdc-" not in found
    bridge = subprocess.run(
        [
            ROOT / ".venv" / "bin" / "python",
            "-c",
            "from cluster.names import Names; print(Names('look').cluster_bridge)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    program.lab.inside("ip", "link", "add", bridge, "type", "bridge")
    try:
        assert f"ip link delete {bridge}" in program.findings()
    finally:
        program.lab.inside("ip", "link", "delete", bridge)


def test_2_a_route_of_the_machine_is_refused(program: LookingProgram) -> None:
    program.lab.inside("ip", "link", "add", "lan7", "type", "bridge")
    try:
        program.lab.inside("sh", "-ec", "ip addr add 192.168.130.7/24 dev lan7; ip link set lan7 up")
        assert "this machine has a route to 192.168.130.0/24 on lan7" in program.findings()
    finally:
        program.lab.inside("ip", "link", "delete", "lan7")


def test_2_a_bridge_that_is_none_is_refused_with_the_others(program: LookingProgram) -> None:
    uplink = program.settings["uplink"]
    program.settings["uplink"] = uplink | {"bridge": "br7", "address": "192.168.130.10", "gateway": "192.168.130.1"}
    try:
        program.lab.inside("ip", "link", "add", "br8", "type", "bridge")
        text = program.findings()
        assert "uplink.bridge = br7" in text
        assert "(there are: br8)" in text
    finally:
        program.settings["uplink"] = uplink
        program.lab.inside("ip", "link", "delete", "br8")


def test_2_a_file_in_the_way_of_the_pool_and_an_image_that_is_none_are_refused_together(
    program: LookingProgram,
) -> None:
    program.settings["hypervisor"]["poolPath"] = "/etc/passwd/pool"
    program.settings["services"]["image"]["location"] = "Pulumi.yaml"
    try:
        text = program.findings()
    finally:
        del program.settings["hypervisor"]["poolPath"]
        program.settings["services"]["image"]["location"] = "image.qcow2"
    assert "/etc/passwd is no directory" in text
    assert "it is neither a qcow2 image nor a raw disk" in text


def test_2_more_memory_than_the_host_has_is_refused(program: LookingProgram) -> None:
    program.settings["machines"]["compute-1"]["memoryMiB"] = 8_000_000
    try:
        text = program.findings()
    finally:
        del program.settings["machines"]["compute-1"]["memoryMiB"]
    assert "memory of all machines = 80001" in text


def test_2_a_libvirt_that_does_not_run_is_told_with_its_remedy(program: LookingProgram) -> None:
    program.settings["hypervisor"]["uri"] = "qemu+unix:///system?socket=/run/nowhere"
    try:
        text = program.findings()
    finally:
        program.settings["hypervisor"]["uri"] = "qemu:///system"
    assert "no libvirt runs on this machine" in text
    assert "systemctl enable --now libvirtd" in text


def test_2_a_socket_that_the_user_may_not_open_is_told_with_its_remedy(program: LookingProgram) -> None:
    """`virsh` runs as nobody here, the socket is root's alone."""
    stand_in = program.root / "virsh-as-nobody"
    stand_in.mkdir()
    (stand_in / "virsh").write_text(
        '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/virsh "$@"\n'
    )
    (stand_in / "virsh").chmod(0o755)
    for directory in (program.root, *program.root.parents):
        assert directory.stat().st_mode & 0o001 or directory.owner() == "root"
    socket_path = "/run/libvirt/libvirt-sock"
    program.lab.inside("chmod", "0700", socket_path)
    try:
        text = program.findings("env", f"PATH={stand_in}:/usr/sbin:/usr/bin:/sbin:/bin")
    finally:
        program.lab.inside("chmod", "0777", socket_path)
    assert "this user may not use libvirt" in text
    assert "usermod -aG libvirt USER" in text


def test_3_a_stack_that_stands_has_no_finding(program: LookingProgram) -> None:
    assert "warning:" not in program.up()
    before = objects(program)
    text = program.preview()
    assert NO_CHANGES in text
    assert "warning:" not in text
    assert objects(program) == before


def test_3_what_the_provider_reads_back_of_a_definition_is_no_change(program: LookingProgram) -> None:
    definition = virsh(program, "dumpxml", "okd-look-compute-1")
    assert re.search(r"machine='pc-q35-[\d.]+'", definition)
    assert "<disk type='file' device='disk'>" in definition
    done = program.run("refresh", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert NO_CHANGES in program.preview()


def test_4_machines_that_were_stopped_are_no_finding(program: LookingProgram) -> None:
    virsh(program, "destroy", "okd-look-compute-1")
    try:
        text = program.preview()
    finally:
        virsh(program, "start", "okd-look-compute-1")
    assert NO_CHANGES in text
    assert "warning:" not in text


def test_4_a_machine_that_was_removed_by_hand_is_warned_about(program: LookingProgram) -> None:
    virsh(program, "destroy", "okd-look-compute-1")
    virsh(program, "undefine", "okd-look-compute-1")
    text = " ".join(program.preview().split())
    assert "warning: the stack's state = domain okd-look-compute-1" in text
    done = program.run("refresh", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning:" not in program.up()


def test_4_a_machine_more_is_made_and_a_card_of_somebody_elses_with_its_mac_refused(program: LookingProgram) -> None:
    program.settings["machines"]["compute-2"] = {"address": "192.168.200.22", "mac": "52:54:00:aa:00:01"}
    theirs = """<domain type="qemu"><name>theirs</name><memory unit="MiB">64</memory>
<os><type arch="x86_64" machine="pc">hvm</type></os><devices><interface type="network">
<mac address="52:54:00:AA:00:01"/><source network="okd-look-cluster"/></interface></devices></domain>"""
    with defined(program, "", "theirs", theirs, started=False):
        assert "machines.compute-2.mac = 52:54:00:aa:00:01" in program.preview()
    assert "warning:" not in program.up()


def test_4_a_network_that_was_taken_down_is_started_first(program: LookingProgram) -> None:
    virsh(program, "net-destroy", "okd-look-uplink")
    try:
        assert "net-start okd-look-uplink" in program.preview()
    finally:
        virsh(program, "net-start", "okd-look-uplink")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def ssh_server(directory: Path) -> Iterator[int]:
    """A real sshd that knows nobody's key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    key = directory / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = [f"HostKey={key}", "AuthorizedKeysFile=none", "PasswordAuthentication=no", "UsePAM=no"]
    options += ["KbdInteractiveAuthentication=no", "ListenAddress=127.0.0.1", f"PidFile={directory}/pid"]
    argv = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(port)]
    with (
        (directory / "sshd.log").open("w") as log,
        subprocess.Popen([*argv, *(f"-o{one}" for one in options)], stderr=log) as server,
    ):
        try:
            while not listens(port):
                assert server.poll() is None, (directory / "sshd.log").read_text()
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("words", "told"), [("", "does not know the host key"), ("?known_hosts_verify=ignore", "refuses the ssh key")]
)
def test_5_a_host_behind_ssh_that_lets_nobody_in_is_told(
    program: LookingProgram, tmp_path: Path, words: str, told: str
) -> None:
    with ssh_server(tmp_path) as port:
        program.settings["hypervisor"]["uri"] = f"qemu+ssh://root@127.0.0.1:{port}/system{words}"
        program.write()
        try:
            # Loopback is not the lab's.
            done = subprocess.run(
                [ROOT / ".venv" / "bin" / "python", "-c", LOOK],
                cwd=program.root,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=True,
            )
        finally:
            program.settings["hypervisor"]["uri"] = "qemu:///system"
    assert told in done.stdout
    assert f"root@127.0.0.1:{port}" in done.stdout
