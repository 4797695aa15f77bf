"""Where this checkout keeps its lab, and the environment in which `pulumi` and `virsh` work on it.

Owns: paths below `.lab`, the lab's identity, the cache directory. Does not own: making any of them useful.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / ".lab"
HYPERVISOR = LAB / "hypervisor"
IMAGES = LAB / "images"
LOGS = LAB / "logs"

UPSTREAM_ADDRESS = "198.51.100.1"
UPSTREAM_PORT = 8081


def lab_id() -> str:
    """Return the identity of this checkout's lab: two clones have two labs."""
    return hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]


def cache(thing: str, key: str) -> Path:
    """Return the cache directory of `thing` built from inputs with the hash `key`; it may not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "okd-libvirt" / thing / key


def environment() -> dict[str, str]:
    """Return the caller's environment with this checkout's engine, state and hypervisor put first."""
    return {
        **os.environ,
        "PATH": f"{LAB / 'bin'}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
        "PULUMI_HOME": str(LAB / "pulumi-home"),
        "PULUMI_BACKEND_URL": f"file://{LAB / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(LAB / "passphrase"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "LIBVIRT_DEFAULT_URI": "qemu:///system",
    }
