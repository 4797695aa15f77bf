"""Definitions of the two guests that are booted, and what they talk to; written by hand, apart from the program's."""

from __future__ import annotations

from pathlib import Path

CLUSTER_MAC, UPLINK_MAC, MACHINE_MAC = "52:54:00:aa:00:01", "52:54:00:aa:00:02", "52:54:00:bb:00:01"
UPLINK, CLUSTER = "192.168.125.10", "192.168.200.254"

ISOLATED = '<network><name>cluster</name><bridge name="t-cluster" stp="off"/></network>'
NAT = """<network><name>uplink</name><forward mode="nat"/><bridge name="t-uplink" stp="off"/>
<ip address="192.168.125.1" prefix="24"/></network>"""
# A network on which libvirt's dnsmasq gives everything that a services host would.
SERVED = """<network xmlns:dnsmasq="http://libvirt.org/schemas/network/dnsmasq/1.0"><name>served</name><forward mode="nat"/>
<bridge name="t-served" stp="off"/><domain name="okd.lab.example" localOnly="yes"/>
<dns><host ip="192.168.77.1"><hostname>services.okd.lab.example</hostname></host></dns>
<ip address="192.168.77.1" prefix="24"><dhcp><range start="192.168.77.5" end="192.168.77.9"/>
<host mac="52:54:00:bb:00:01" name="compute-0" ip="192.168.77.5"/><bootp file="lpxelinux.0"/></dhcp></ip>
<dnsmasq:options><dnsmasq:option value="dhcp-option=42,192.168.77.1"/></dnsmasq:options></network>"""

NETWORK_CONFIG = f"""version: 2
ethernets:
  clusternic: {{match: {{macaddress: "{CLUSTER_MAC}"}}, set-name: clusternic, accept-ra: false, link-local: []}}
  uplink:
    match: {{macaddress: "{UPLINK_MAC}"}}
    set-name: uplink
    accept-ra: false
    link-local: []
    addresses: [{UPLINK}/24]
    routes: [{{to: default, via: 192.168.125.1}}]
bridges:
  cluster:
    interfaces: [clusternic]
    accept-ra: false
    link-local: []
    addresses: [{CLUSTER}/24]
    parameters: {{stp: false, forward-delay: 0}}
"""


def seed(directory: Path, login_public: str, host_private: str, host_public: str) -> list[Path]:
    """Write the three files of a NoCloud seed and return them."""
    indented = "".join(f"    {line}\n" for line in host_private.splitlines())
    user_data = (
        "#cloud-config\nhostname: services\nssh_deletekeys: true\n"
        f"ssh_keys:\n  ed25519_private: |\n{indented}  ed25519_public: {host_public}\n"
        f"users:\n  - name: okd\n    sudo: 'ALL=(ALL) NOPASSWD:ALL'\n    shell: /bin/bash\n    lock_passwd: true\n"
        f"    ssh_authorized_keys: ['{login_public}']\n"
    )
    files = {
        "user-data": user_data,
        "meta-data": "instance-id: test\nlocal-hostname: services\n",
        "network-config": NETWORK_CONFIG,
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    return [directory / name for name in files]


def services(disk: Path, iso: Path, console: Path, kind: str) -> str:
    """The services host: two cards, a seed, everything emulated where `kind` is qemu."""
    return f"""<domain type="{kind}"><name>services</name><memory unit="MiB">2048</memory><vcpu>2</vcpu>
<os><type arch="x86_64" machine="q35">hvm</type><boot dev="hd"/></os>
<features><acpi/><apic/>{_cache(kind, 128)}</features><cpu mode="maximum"/><devices>
<disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="unsafe"/><source file="{disk}"/>
<target dev="vda" bus="virtio"/></disk>
<disk type="file" device="cdrom"><source file="{iso}"/><target dev="sda" bus="scsi"/><readonly/></disk>
<controller type="scsi" index="0" model="virtio-scsi"/>
<interface type="network"><source network="cluster"/><mac address="{CLUSTER_MAC}"/><model type="virtio"/></interface>
<interface type="network"><source network="uplink"/><mac address="{UPLINK_MAC}"/><model type="virtio"/></interface>
{_console(console)}</devices></domain>"""


def machine(kernel: Path, initramfs: Path, console: Path, kind: str, report: str) -> str:
    """A machine that is given the boot image directly, without a network boot."""
    return f"""<domain type="{kind}"><name>machine</name><memory unit="MiB">512</memory><vcpu>1</vcpu>
<os><type arch="x86_64" machine="q35">hvm</type><kernel>{kernel}</kernel><initrd>{initramfs}</initrd>
<cmdline>BOOT_IMAGE=http://192.168.77.1/kernel console=ttyS0 okd.report={report}</cmdline></os>
<features><acpi/><apic/>{_cache(kind, 64)}</features><cpu mode="maximum"/><devices>
<interface type="network"><source network="served"/><mac address="{MACHINE_MAC}"/><model type="virtio"/></interface>
{_console(console)}</devices></domain>"""


# What a machine is installed from; the address of api-int is where its ignition config points to.
INSTALLING = (
    SERVED.replace("<name>served", "<name>installing")
    .replace("t-served", "t-install")
    .replace("192.168.77", "192.168.78")
)
INSTALLING = INSTALLING.replace(
    '<bootp file="lpxelinux.0"/>', '<bootp file="http://192.168.78.1:8090/boot.ipxe"/>'
).replace("<dns>", '<dns><host ip="192.168.78.1"><hostname>api-int.okd.lab.example</hostname></host>')


def installable(name: str, disk: Path, console: Path, kind: str) -> str:
    """A machine with an empty disk that boots from it, or from the network while it does not start."""
    return f"""<domain type="{kind}"><name>{name}</name><memory unit="MiB">512</memory><vcpu>1</vcpu>
<os><type arch="x86_64" machine="q35">hvm</type><boot dev="hd"/><boot dev="network"/></os>
<features><acpi/><apic/>{_cache(kind, 64)}</features><cpu mode="maximum"/><on_reboot>restart</on_reboot><devices>
<disk type="file" device="disk"><driver name="qemu" type="qcow2"/><source file="{disk}"/><target dev="vda" bus="virtio"/></disk>
<interface type="network"><source network="installing"/><mac address="{MACHINE_MAC}"/><model type="virtio"/></interface>
{_console(console).replace('append="off"', 'append="on"')}</devices></domain>"""


def _cache(kind: str, size: int) -> str:
    return f'<tcg><tb-cache unit="MiB">{size}</tb-cache></tcg>' if kind == "qemu" else ""


def _console(log: Path) -> str:
    return f'<serial type="pty"><log file="{log}" append="off"/><target port="0"/></serial>'
