"""A domain's definition on its way to libvirt, asked of xsltproc, libvirt's own parser and virt-aa-helper."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from cluster.domain_xslt import Backed, stylesheet

POOL = "/data/okd-dev"
# Where the helper's own AppArmor profile lets it read nothing: to it, the files are not there.
ROOT, BASE, REGISTRY, SEED = (f"{POOL}/okd-dev-services-{kind}" for kind in ("root", "base-0", "registry", "seed.iso"))
# As terraform-provider-libvirt 0.8.1 writes it for the services host.
PROVIDERS = """
<domain type="kvm">
  <name>okd-dev-services</name>
  <uuid>0a0a0a0a-0000-4000-8000-00000000000a</uuid>
  <memory unit="MiB">4096</memory>
  <vcpu>2</vcpu>
  <os><type arch="x86_64" machine="pc-q35-7.2">hvm</type><boot dev="hd"></boot></os>
  <features><pae></pae><acpi></acpi><apic></apic></features>
  <cpu mode="host-passthrough"></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type="volume" device="disk">
      <driver name="qemu" type="qcow2"></driver>
      <source pool="okd-dev" volume="okd-dev-services-root"></source>
      <target dev="vda" bus="virtio"></target>
    </disk>
    <disk type="volume" device="disk">
      <driver name="qemu" type="qcow2"></driver>
      <source pool="okd-dev" volume="okd-dev-services-registry"></source>
      <target dev="vdb" bus="virtio"></target>
    </disk>
    <disk type="file" device="cdrom">
      <driver name="qemu" type="raw"></driver>
      <source file="/data/okd-dev/okd-dev-services-seed.iso"></source>
      <target dev="hdd" bus="ide"></target>
      <serial>cloudinit</serial>
    </disk>
    <interface type="network">
      <mac address="52:54:00:AA:BB:CC"></mac>
      <source network="okd-dev-cluster"></source>
      <model type="virtio"></model>
    </interface>
    <channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"></target></channel>
    <console type="pty"><target type="serial" port="0"></target></console>
    <graphics type="vnc" autoport="yes" listen="127.0.0.1"><listen type="address" address="127.0.0.1"></listen></graphics>
    <video><model type="vga"></model></video>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
  </devices>
</domain>
"""


def sent(tmp_path: Path, domain_type: str = "kvm", **given: Any) -> str:
    """The definition that reaches libvirt, made as the provider makes it."""
    values = {"seed": True, "backed": [Backed("okd-dev-services-root", "okd-dev-services-base-0", "qcow2")]} | given
    (tmp_path / "xslt").write_text(
        stylesheet(
            domain_type=domain_type,
            console_log="/var/log/libvirt/qemu/okd-dev-services.console.log",
            pool_path=POOL,
            translation_cache_mib=128,
            **values,
        )
    )
    (tmp_path / "xml").write_text(PROVIDERS.replace('"kvm"', f'"{domain_type}"'))
    argv = ["xsltproc", "--nomkdir", "--nonet", "--nowrite", str(tmp_path / "xslt"), str(tmp_path / "xml")]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def allowed(definition: str) -> dict[str, str]:
    """What a domain's AppArmor profile allows of the pool's files, as virt-aa-helper writes it."""
    done = subprocess.run(
        ["/usr/lib/libvirt/virt-aa-helper", "-r", "--dryrun", "-u", "libvirt-0a0a0a0a-0000-4000-8000-00000000000a"],
        input=definition,
        capture_output=True,
        text=True,
        check=True,
    )
    rules = (line.strip().rstrip(",").split('" ') for line in done.stderr.splitlines() if line.startswith(f'  "{POOL}'))
    return {path.strip('"'): rights for path, rights in rules}


def disks(definition: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(definition).findall("devices/disk")


def test_apparmor_lets_a_machine_open_every_disk_its_base_and_its_seed(tmp_path: Path) -> None:
    assert allowed(PROVIDERS).keys() == {SEED}, "of what the provider itself sends, volumes are refused"
    assert allowed(sent(tmp_path)) == {ROOT: "rwk", BASE: "rk", REGISTRY: "rwk", SEED: "rk"}


@pytest.mark.parametrize("domain_type", ["kvm", "qemu"])
def test_libvirts_own_parser_and_schema_take_the_definition(tmp_path: Path, domain_type: str) -> None:
    definition = tmp_path / "definition.xml"
    # The test driver makes no other type, and so no cap on emulation either.
    text = sent(tmp_path, domain_type).replace(f'<domain type="{domain_type}">', '<domain type="test">')
    definition.write_text(text)
    argv = ["virsh", "--connect", "test:///default", f"define --validate {definition}; dumpxml okd-dev-services"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert not done.stderr.strip()
    defined = done.stdout[done.stdout.index("<domain") :]
    assert [(one.get("type"), one.get("device")) for one in disks(defined)] == [("file", "disk")] * 2 + [
        ("file", "cdrom")
    ]


def test_what_a_guest_discards_or_fills_with_zeros_is_given_back(tmp_path: Path) -> None:
    for domain_type in ("kvm", "qemu"):
        *own, seed = [one.find("driver") for one in disks(sent(tmp_path, domain_type))]
        for driver in own:
            assert driver is not None
            assert (driver.get("type"), driver.get("discard"), driver.get("detect_zeroes")) == (
                "qcow2",
                "unmap",
                "unmap",
            )
        assert seed is not None
        assert seed.attrib == {"name": "qemu", "type": "raw"}


@pytest.mark.parametrize(("domain_type", "cache"), [("kvm", "none"), ("qemu", None)])
def test_writes_pass_the_hosts_page_cache_by_where_a_flush_is_what_a_machine_waits_for(
    tmp_path: Path, domain_type: str, cache: str | None
) -> None:
    drivers = [one.find("driver") for one in disks(sent(tmp_path, domain_type))[:2]]
    assert [driver.get("cache") for driver in drivers if driver is not None] == [cache, cache]


def test_the_seed_stays_the_providers_cd_and_needs_neither_ide_nor_ahci(tmp_path: Path) -> None:
    text = sent(tmp_path)
    seed, target = disks(text)[2], disks(text)[2].find("target")
    # What the provider does not take for a disk of the machine's own when it reads the definition back.
    assert (seed.get("device"), seed.findtext("serial")) == ("cdrom", "cloudinit")
    assert target is not None
    assert target.attrib == {"dev": "sda", "bus": "scsi"}
    (controller,) = ElementTree.fromstring(text).findall("devices/controller")
    assert controller.attrib == {"type": "scsi", "index": "0", "model": "virtio-scsi"}
    assert not ElementTree.fromstring(sent(tmp_path, seed=False)).findall("devices/controller")


def test_a_raw_base_is_named_as_one(tmp_path: Path) -> None:
    base = disks(sent(tmp_path, backed=[Backed("okd-dev-services-root", "base", "raw")]))[0].find("backingStore")
    assert base is not None
    assert [one.tag for one in base] == ["format", "source", "backingStore"]
    assert base[0].get("type") == "raw"
    assert base[1].get("file") == f"{POOL}/base"


def test_no_other_machine_has_a_base(tmp_path: Path) -> None:
    assert "backingStore" not in sent(tmp_path, backed=[])
