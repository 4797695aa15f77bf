"""The lab's libvirtd: its private configuration, its start, and the question whether it answers."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from cluster import limits
from lab import checkout, namespaces
from lab.progress import StepFailed, step, tail

# Its default lies in /run, where the user's own libvirtd and other labs have theirs.
_PID_FILE = "/run/libvirt/libvirtd.pid"

# qemu runs as root and without a security driver: both only here, in the lab's private /etc/libvirt.
_QEMU_CONF = """\
stdio_handler = "file"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
"""
_LIBVIRTD_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""


def start() -> bool:
    """Start libvirtd in the lab's namespaces when it does not run; return True when it was started."""
    if namespaces.named("libvirtd"):
        return False
    etc = checkout.HYPERVISOR / "etc-libvirt"
    if not etc.is_dir():
        raise StepFailed(f"{etc} is gone, but the lab that used it still runs", remedy="make down, then make up")
    (etc / "qemu.conf").write_text(_QEMU_CONF)
    (etc / "libvirtd.conf").write_text(_LIBVIRTD_CONF)
    # The package makes it, and libvirtd itself only once it has a domain's own log to write.
    (checkout.HYPERVISOR / "var-log-libvirt" / "qemu").mkdir(mode=0o755, exist_ok=True)
    log = checkout.LOGS / "libvirtd.log"
    # The bus is hidden by a mount already; a stale address in the environment would make libvirtd wait for it.
    env = {**checkout.environment(), "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/dbus/none", "LC_ALL": "C.UTF-8"}
    env["XTABLES_LOCKFILE"] = "/run/libvirt/xtables.lock"
    child = namespaces.spawn(namespaces.join(["libvirtd", "--pid-file", _PID_FILE], directory=Path("/")), log, env)
    deadline = time.monotonic() + limits.LAB_DAEMON.seconds
    with step("starting libvirtd"):
        while not answers():
            if child.poll() is not None or time.monotonic() > deadline:
                own = tail(checkout.HYPERVISOR / "var-log-libvirt" / "libvirtd.log", 8)
                raise StepFailed(
                    "libvirtd did not start", [*tail(log, 8), *own], "python3 -m lab.hypervisor down, then up"
                )
            time.sleep(0.2)
    return True


def answers() -> bool:
    """Tell whether libvirtd answers a query."""
    done = subprocess.run(namespaces.join(["virsh", "-c", "qemu:///system", "uri"]), capture_output=True)
    return done.returncode == 0


def virsh(*words: str) -> str:
    """Return what virsh prints for a query. Raises StepFailed with its message."""
    argv = namespaces.join(["virsh", "-c", "qemu:///system", *words])
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise StepFailed(f"virsh {' '.join(words)}", done.stderr.splitlines(), "python3 -m lab.hypervisor up")
    return done.stdout
