"""Systemd's files on the services host, delivered as one, and common health checks of its daemons.

Owns what all daemons share: started again after a failure without limit, given time to start, ordered after the network
where they bind to its address; and the mount of the data volume. All these files travel together, before any service,
so that systemd reads its units once: that takes ten seconds on an emulated host, each time. Does not own the packages'
own units, nor what a service adds to its own.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from ipaddress import IPv4Address

from cluster import limits
from cluster.host_files import Bundle, Health, HostFile
from cluster.host_os import REGISTRY_MOUNT, Daemon, HostOs
from cluster.render import render


def drop_in(host_os: HostOs, daemon: Daemon, *unit: str, service: tuple[str, ...] = ()) -> HostFile:
    """Our additions to a daemon's unit; `unit` and `service` are further lines of those sections."""
    text = render("drop-in.conf.j2", unit_lines=unit, service_lines=service, start_seconds=int(limits.UNIT.seconds))
    return HostFile(path=daemon.drop_in, text=text, selinux=host_os.label("systemd_unit_file_t"))


DIRECTORY = "/etc/systemd/system"
DATA_LABEL = "okd-registry"
# curl's own limit, so that a probe that hangs says which one it was; it is asked again.
PROBE_SECONDS = "60"


def bundle(host_os: HostOs, services: Sequence[Bundle]) -> Bundle:
    """The unit files of all services, and the data volume's mount."""
    label, seconds = host_os.label("systemd_unit_file_t"), int(limits.UNIT.seconds)
    device = _escaped(f"/dev/disk/by-label/{DATA_LABEL}")
    mount = render("data.mount.j2", label=DATA_LABEL, where=REGISTRY_MOUNT, seconds=seconds)
    return Bundle(
        service="units",
        files=(
            *(file for service in services for file in service.unit_files),
            HostFile(path=f"{DIRECTORY}/{data_mount()}", text=mount, selinux=label),
            HostFile(
                path=f"{DIRECTORY}/{device}.device.d/okd-libvirt.conf",
                text=f"[Unit]\nJobRunningTimeoutSec={seconds}\n",
                selinux=label,
            ),
        ),
        units=tuple(unit for service in services for unit in service.units),
        # Additions to a unit count at once; a unit's own file when its daemon starts again.
        restart_on=(f"{DIRECTORY}/*.service",),
        starts=False,
    )


def data_mount() -> str:
    """The name that systemd wants for the data volume's mount unit."""
    return f"{_escaped(REGISTRY_MOUNT)}.mount"


def _escaped(path: str) -> str:
    plain = string.ascii_letters + string.digits + ":_."
    return "".join("-" if c == "/" else c if c in plain else f"\\x{ord(c):02x}" for c in path.strip("/"))


AFTER_NETWORK = ("Wants=network-online.target", "After=network-online.target")


def listens_udp(address: IPv4Address | str, port: int) -> Health:
    """Something is bound to a UDP address and port; `ss` itself succeeds either way."""
    query = f"ss -Hlun 'src {address} and sport = :{port}' | grep -q ."
    return Health(f"listens on {address} udp {port}", ("/bin/sh", "-c", query))


def prints(name: str, command: str, expected: str) -> Health:
    """A shell command's output is exactly `expected`."""
    test = f'got=$({command}); test "$got" = "{expected}" || {{ echo "got $got, expected {expected}" >&2; exit 1; }}'
    return Health(name, ("/bin/sh", "-c", test))
