"""Mistakes about the libvirt host: found before anything is made, with a remedy, by the program itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.newcomer.conftest import STACK, Clone, only, told

UPLINK = "192.168.125"
_IMAGE = ".lab/images/services-debian-12.qcow2"


@pytest.mark.toolchain
def test_a_wrong_uri_is_told_with_what_to_check(made: Clone) -> None:
    text = told(made.make("up", f"STACK={STACK}"), "nothing was created or changed", "127.0.0.1 does not answer")
    assert "- hypervisor.uri = qemu+tcp://127.0.0.1:1/system" in text
    assert "fix:  check that it runs, that this machine reaches it, and that libvirtd runs there" in text
    assert "created" not in text.split("nothing was created or changed")[1]


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("qemu:///sytem", "qemu:///system"),
        ("qemu+ssh://root@no-such-host.invalid/system", "no-such-host.invalid"),
        ("192.168.1.10", "write a libvirt URI"),
    ],
)
def test_a_misspelt_uri_is_told_how_it_is_spelt(made: Clone, uri: str, words: str) -> None:
    made.write(hypervisor={"uri": uri, "accelerator": "qemu"})
    told(made.make("preview", f"STACK={STACK}"), f"- hypervisor.uri = {uri}", words, "fix:")


@pytest.mark.toolchain
def test_missing_programs_are_told_with_their_packages(made: Clone, tmp_path: Path) -> None:
    """On a machine that is no Debian, where nothing installs them."""
    path = only(tmp_path / "bin", "make", "sh", "python3")
    text = told(made.make("preview", f"STACK={STACK}", PATH=path), "nothing was created or changed")
    for program, packages in {"virsh": "libvirt-clients", "mkisofs": "genisoimage", "xsltproc": "xsltproc"}.items():
        assert f"- program {program}\n    harm: it is not installed on this machine" in text
        assert f"fix:  apt-get install {packages} (Fedora: dnf install " in text


@pytest.fixture(scope="module")
def hypervisor(tooled: Clone) -> Iterator[Clone]:
    """The clone with its lab's libvirt running, and nothing on it."""
    up = tooled.make("hypervisor")
    assert up.returncode == 0, up.stdout
    image = tooled.root / _IMAGE
    image.parent.mkdir(parents=True)
    image.write_bytes(b"QFI\xfb")
    yield tooled
    down = tooled.run("python3", "-m", "lab.hypervisor", "down")
    assert down.returncode == 0, down.stdout


class Host:
    """A stack whose libvirt host is the lab's, as it is for somebody who works inside."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.pool = clone.root / ".lab" / "pool"

    def inside(self, *argv: str) -> subprocess.CompletedProcess[str]:
        fallback = {"PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
        return self.clone.run("python3", "-m", "lab.hypervisor", "enter", "--", *argv, **fallback)

    def virsh(self, words: str) -> str:
        done = self.inside("virsh", words)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def preview(self, **hypervisor: str) -> subprocess.CompletedProcess[str]:
        """What plain `pulumi preview` says for a stack on this host; nothing on the host may differ afterwards."""
        listing = "list --all; net-list --all; pool-list --all"
        before = self.virsh(listing)
        settings = {"uri": "qemu:///system", "accelerator": "qemu", "poolPath": str(self.pool)}
        self.clone.write(hypervisor=settings | hypervisor)
        done = self.inside("pulumi", "preview", "--stack", STACK, "--non-interactive")
        assert self.virsh(listing) == before
        assert not self.pool.exists()
        return done


@pytest.fixture
def host(hypervisor: Clone, made: Clone) -> Host:
    return Host(hypervisor)


@pytest.mark.lab
def test_nothing_stands_in_the_way_of_good_settings_on_an_empty_host(host: Host) -> None:
    done = host.preview()
    assert (done.returncode, "problem" in done.stdout) == (0, False), done.stdout


@pytest.mark.lab
def test_a_pool_whose_directory_cannot_be_made_is_told_where_it_ends(host: Host) -> None:
    text = told(host.preview(poolPath="/etc/hostname/okd"), "- hypervisor.poolPath = /etc/hostname/okd")
    assert "/etc/hostname is no directory, so libvirt could not make the stack's storage pool" in text
    assert "fix:  write the path of a directory on the libvirt host" in text


@pytest.mark.lab
def test_what_is_taken_on_the_host_is_told_with_who_has_it_and_how_to_give_it_up(host: Host) -> None:
    """A subnet, the directory for the pool, and the pool's name."""
    taken = f"<network><name>home</name><bridge name='virbr-home'/><ip address='{UPLINK}.1' prefix='24'/></network>"
    definition = host.clone.root / "network.xml"
    definition.write_text(taken)
    host.virsh(f"net-define {definition}; net-start home")
    host.virsh(f"pool-define-as images dir --target {host.pool}; pool-define-as okd-{STACK} dir --target /srv/there")
    try:
        text = told(host.preview(), "3 problems", "nothing was created or changed")
    finally:
        host.virsh(f"net-destroy home; net-undefine home; pool-undefine images; pool-undefine okd-{STACK}")
    parts = {part.split()[0]: part for part in text.split("\n    - ")[1:]}
    assert f"uplink.cidr = {UPLINK}.0/24" in parts["uplink.cidr"]
    assert "home" in parts["uplink.cidr"]
    assert "libvirt has pool images in this directory" in parts["hypervisor.poolPath"]
    assert "pool-undefine images" in parts["hypervisor.poolPath"]
    assert "the stack's state does not hold" in parts["libvirt"]
    assert f"pool-undefine okd-{STACK}" in parts["libvirt"]
    assert all("fix:" in part for part in parts.values())
