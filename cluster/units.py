"""Systemd drop-ins and common health checks of the services host's daemons.

Owns what all daemons share: started again after a failure without limit, ordered after the network where they bind to
its address. Does not own the packages' own units.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from cluster.host_files import Health, HostFile
from cluster.host_os import Daemon, HostOs
from cluster.render import render


def drop_in(host_os: HostOs, daemon: Daemon, *unit: str, service: tuple[str, ...] = ()) -> HostFile:
    """Our additions to a daemon's unit; `unit` and `service` are further lines of those sections."""
    text = render("drop-in.conf.j2", unit_lines=unit, service_lines=service)
    return HostFile(path=daemon.drop_in, text=text, selinux=host_os.label("systemd_unit_file_t"))


AFTER_NETWORK = ("Wants=network-online.target", "After=network-online.target")


def active(daemon: Daemon) -> Health:
    """The unit runs."""
    return Health("runs", ("systemctl", "is-active", "--quiet", daemon.unit))


def listens_udp(address: IPv4Address | str, port: int) -> Health:
    """Something is bound to a UDP address and port; `ss` itself succeeds either way."""
    query = f"ss -Hlun 'src {address} and sport = :{port}' | grep -q ."
    return Health(f"listens on {address} udp {port}", ("/bin/sh", "-c", query))


def prints(name: str, command: str, expected: str) -> Health:
    """A shell command's output is exactly `expected`."""
    test = f'got=$({command}); test "$got" = "{expected}" || {{ echo "got $got, expected {expected}" >&2; exit 1; }}'
    return Health(name, ("/bin/sh", "-c", test))
