"""The Debian packages that the lab uses, and those that only the tests do, each with its purpose.

Owns: the list and installing what is missing of it, with nothing started. Does not own: configuring any of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.checkout import LOGS
from lab.progress import StepFailed, run, say

PACKAGES = {
    "python3-venv": "the project's virtual environment",
    # the hypervisor
    "libvirt-daemon": "libvirtd, which the lab starts in namespaces of its own",
    "libvirt-daemon-driver-qemu": "its driver for QEMU",
    "libvirt-clients": "virsh",
    "qemu-system-x86": "machines, with or without KVM",
    "qemu-utils": "qemu-img: disks",
    "seabios": "their BIOS",
    "ipxe-qemu": "their network boot ROM",
    "dnsmasq-base": "libvirt's NAT network wants it",
    "iptables": "libvirt's NAT rules",
    "nftables": "nft: the lab's own rules, and firewalld's back end",
    "iproute2": "ip: namespaces, bridges, veth pairs",
    "kmod": "modprobe for bridges and NAT",
    "procps": "what runs inside a namespace",
    # what the libvirt provider calls on the machine that runs Pulumi
    "genisoimage": "mkisofs: cloud-init disks",
    "xsltproc": "XSLT on domains and networks",
    # the lab's images
    "mmdebstrap": "the services host's root file system",
    "debian-archive-keyring": "its signatures",
    "e2fsprogs": "mke2fs -d: a disk without a loop device",
    "dosfstools": "mkfs.vfat: cloud-init and EFI partitions",
    "fdisk": "sfdisk: partition tables",
    "grub-common": "the services host's boot loader",
    "grub-pc-bin": "the same, for BIOS",
    "busybox-static": "the miniature boot image's user land",
    "cpio": "initramfs archives",
    "zstd": "their compression",
    "util-linux": "unshare, nsenter, mount",
    # the lab's upstream
    "docker-registry": "the mirror registry, and the upstream's",
    "gnupg": "gpg: the signature of the miniature release",
    "openssl": "certificates as the registry's check reads them",
    # connections
    "openssh-client": "ssh, ssh-keygen",
    "curl": "HTTP as a user would",
    "ca-certificates": "trust for downloads",
}

# Daemons and parsers that the tests feed rendered files to.
FOR_TESTS = {
    "apache2-utils": "htpasswd",
    "bind9": "named",
    "bind9-dnsutils": "dig",
    "bind9-utils": "named-checkconf, named-checkzone",
    "chrony": "chronyd",
    "dbus-daemon": "the bus that firewalld needs",
    "skopeo": "copies of images, to compare the mirror's speed with",
    "firewalld": "firewall-offline-cmd and the daemon's parser",
    "haproxy": "the load balancer",
    "kea-dhcp4-server": "kea-dhcp4",
    "nginx-light": "the HTTP server",
    "pxelinux": "lpxelinux.0",
    "syslinux-common": "ldlinux.c32",
    "systemd": "systemd-analyze: unit files",
    "tftp-hpa": "a TFTP client",
    "tftpd-hpa": "in.tftpd",
    "yamllint": "YAML rows",
    "openssh-server": "the sshd that tests of remote commands talk to",
}

# What Pulumi and its plugins call themselves, wherever the libvirt host is.
FOR_PULUMI = ("python3-venv", "libvirt-clients", "genisoimage", "xsltproc", "openssh-client", "ca-certificates")

_NO_START = Path("/usr/sbin/policy-rc.d")
_LISTS = Path("/var/lib/apt/lists")


def missing(*, lab: bool = True, tests: bool = False) -> list[str]:
    """Return which packages are not installed: of the lab's or those that Pulumi needs, and of the tests' too."""
    wanted = [name for name in PACKAGES if lab or name in FOR_PULUMI] + [*FOR_TESTS] * tests
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,  # fails when one name is unknown, and answers for the others
    )
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def up(*, lab: bool = True, tests: bool = False) -> None:
    """Install what is missing, starting nothing. Raises StepFailed."""
    if not shutil.which("dpkg-query"):
        say("this is no Debian: see lab/toolchain/packages.py for the tools that have to be there")
        return
    if not (names := missing(lab=lab, tests=tests)):
        return
    by_hand = f"apt-get install --no-install-recommends {' '.join(names)}"
    if os.geteuid() != 0:
        count = "1 Debian package is" if len(names) == 1 else f"{len(names)} Debian packages are"
        raise StepFailed(
            f"{count} missing, and only root can install what is missing",
            [f"{name}: {(PACKAGES | FOR_TESTS)[name]}" for name in names],
            f"as root: {by_hand}",
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = LOGS / "packages.log"
    if not any(_LISTS.glob("*_Packages*")):
        run(
            ["apt-get", "update"],
            step="reading Debian's package lists",
            log=log,
            env=environment,
            remedy="let apt-get reach a Debian mirror (/etc/apt/sources.list)",
        )
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    what = f"installing {len(names)} Debian packages ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"
    with _nothing_started():
        try:
            run(install, step=what, log=log, env=environment)
        except StepFailed:
            run(["apt-get", "update"], step="reading Debian's package lists again", log=log, env=environment)
            run(install, step=what, log=log, env=environment, remedy=f"see what is wrong with: {by_hand}", append=True)


def status() -> list[tuple[str, str]]:
    """Say how many packages are there."""
    names = missing() if shutil.which("dpkg-query") else list(PACKAGES)
    told = f"missing: {' '.join(names)}" if names else f"all {len(PACKAGES)} installed"
    return [("packages", told), ("python", f"{sys.version.split()[0]} ({sys.executable})")]


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Refuse starting daemons while packages are installed, unless the machine has a policy of its own."""
    if _NO_START.exists():
        yield
        return
    _NO_START.write_text("#!/bin/sh\nexit 101\n")
    _NO_START.chmod(0o755)
    try:
        yield
    finally:
        _NO_START.unlink()
