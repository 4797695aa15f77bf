"""The units of Debian 12's own packages, unmodified: taken out of the packages that apt here gets from Debian."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import checkout
from lab.cached import cached

SUITE = "bookworm"
SYSTEM = ("systemd", "udev", "dbus", "systemd-resolved", "netplan.io", "openssh-server")
DAEMONS = (
    "firewalld",
    "chrony",
    "named=bind9",
    "kea-dhcp4-server",
    "tftpd-hpa",
    "nginx=nginx-common",
    "docker-registry",
    "haproxy",
)
PACKAGES = ("cloud-init", *SYSTEM, *(name.rpartition("=")[2] for name in DAEMONS))
CLOUD_INIT = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
# As on Debian's cloud images.
ENABLED = ("systemd-networkd", "systemd-resolved", "ssh")


def unpacked() -> Path:
    """A directory with the packages' files, downloaded once and kept; skips where apt knows no Debian 12."""
    kept = checkout.cache("debian-units", f"{SUITE}-1")
    if not kept.is_dir():
        wanted = [f"{name}/{SUITE}" for name in PACKAGES]
        asked = subprocess.run(["apt-get", "download", "--print-uris", *wanted], capture_output=True, text=True)
        if asked.returncode:
            pytest.skip(f"apt here knows no packages of Debian {SUITE}: {asked.stderr.strip().splitlines()[-1]}")
    return cached(kept, "units of Debian's packages", _make)


def _make(to: Path) -> None:
    packages = to / "packages"
    packages.mkdir()
    wanted = [f"{name}/{SUITE}" for name in PACKAGES]
    subprocess.run(["apt-get", "download", "-q", *wanted], cwd=packages, check=True, capture_output=True)
    for package in packages.glob("*.deb"):
        unpacked, directory = to / "unpacked", to / "usr/lib/systemd"
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        for part in ("lib/systemd", "usr/lib/systemd"):
            if (unpacked / part).is_dir():
                directory.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", f"{unpacked / part}/.", directory], check=True)
        subprocess.run(["rm", "-rf", unpacked], check=True)
    subprocess.run(["rm", "-rf", packages], check=True)
