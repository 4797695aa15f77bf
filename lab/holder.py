"""Runs inside the lab's new namespaces: makes the private mounts, then keeps the namespaces alive by living.

`make` sets up namespaces just unshared; `keep` only lives on in namespaces that lost their holder.
"""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

from lab import checkout, kvm, mountpoints

# The system bus would lead libvirtd to the user's own firewalld, machined and polkit.
_BUS = Path("/run/dbus")
_LIBVIRT_USER = ("libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin",)
_LIBVIRT_GROUPS = ("libvirt-qemu:x:64055:", "kvm:x:64056:", "libvirt:x:64057:")


def main() -> int:
    """Set the namespaces up when asked to, then wait for the end."""
    if sys.argv[1:] == ["make"]:
        _mount_private()
        _mount_sys()
        _add_libvirt_user()
        _hide_kvm()
        _network()
        mountpoints.mark()
    os.chdir("/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


def _call(*argv: str) -> None:
    subprocess.run(argv, check=True)


def _mount_private() -> None:
    for path in mountpoints.PRIVATE:
        if path.startswith("/run/"):
            _call("mount", "-t", "tmpfs", "-o", "mode=0755", "okd-libvirt-lab", path)
            continue
        backing = checkout.HYPERVISOR / path.strip("/").replace("/", "-")
        backing.mkdir(mode=0o755, parents=True, exist_ok=True)
        _call("mount", "--bind", str(backing), path)
    if _BUS.is_dir():
        _call("mount", "-t", "tmpfs", "-o", "size=4k", "okd-libvirt-lab", str(_BUS))


def _mount_sys() -> None:
    """Show the lab's own network devices in /sys, and no control groups: guests stay in the caller's."""
    _call("umount", "--recursive", "--lazy", "/sys")
    _call("mount", "-t", "sysfs", "sysfs", "/sys")


def _add_libvirt_user() -> None:
    """Give libvirtd the names that its packager compiled in, without adding a user to the machine.

    libvirtd resolves them before it reads qemu.conf; the package that creates them also starts a system libvirtd.
    """
    users = {entry.pw_name for entry in pwd.getpwall()}
    groups = {entry.gr_name for entry in grp.getgrall()}
    for path, known, lines in (("/etc/passwd", users, _LIBVIRT_USER), ("/etc/group", groups, _LIBVIRT_GROUPS)):
        private = checkout.HYPERVISOR / Path(path).name
        missing = [line for line in lines if line.partition(":")[0] not in known]
        if missing:
            private.write_text(Path(path).read_text() + "".join(f"{line}\n" for line in missing))
            _call("mount", "--bind", str(private), path)


def _hide_kvm() -> None:
    """Make an unusable /dev/kvm look unusable, so that libvirt tells the truth in its capabilities.

    libvirt asks access(2), which for root says no only to a regular file on a read-only mount.
    """
    reason = kvm.problem()
    note = Path("/run/libvirt/no-kvm")
    if reason is None or not Path("/dev/kvm").exists():
        return
    note.write_text(f"{reason}\n")
    _call("mount", "--bind", str(note), "/dev/kvm")
    _call("mount", "-o", "remount,ro,bind", "/dev/kvm")


def _network() -> None:
    _call("ip", "link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


if __name__ == "__main__":
    sys.exit(main())
