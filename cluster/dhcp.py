"""Leases of the cluster network.

Owns Kea's configuration: one reservation a machine and no pool, so that an unknown card is never answered. Does not own
boot files' content (boot.py). Host names travel as full names: nodes take them as they come.
"""

from __future__ import annotations

import json
from typing import Any

from cluster.boot import boot_files
from cluster.host_files import Bundle, Check, HostFile
from cluster.host_os import LEASES
from cluster.machines import Machine
from cluster.site import Site
from cluster.units import AFTER_NETWORK, drop_in, listens_udp

LEASE_SECONDS = 24 * 60 * 60


def options(site: Site) -> dict[str, str]:
    """The options that every machine gets, by Kea's names."""
    services = str(site.services_address)
    shared = {
        "routers": str(site.router),
        "domain-name-servers": services,
        "ntp-servers": services,
        "domain-name": site.cluster_domain,
        "domain-search": site.cluster_domain,
    }
    mtu = site.settings.network.mtu
    return shared if mtu == 1500 else shared | {"interface-mtu": str(mtu)}


def reservation(machine: Machine) -> dict[str, Any]:
    """One machine's row; the name is sent whether or not the client asks, since boot loaders hand it on."""
    return {
        "hw-address": machine.mac,
        "ip-address": str(machine.address),
        "hostname": machine.fqdn,
        "option-data": [{"name": "host-name", "data": machine.fqdn, "always-send": True}],
    }


def configuration(site: Site) -> dict[str, Any]:
    """Kea's whole configuration as a document."""
    boot = boot_files(site)
    return {
        "Dhcp4": {
            "interfaces-config": {
                "interfaces": [f"cluster/{site.services_address}"],
                "dhcp-socket-type": "raw",
                "re-detect": True,
                "service-sockets-max-retries": 30,
                "service-sockets-retry-wait-time": 2000,
            },
            "control-socket": {"socket-type": "unix", "socket-name": "/run/kea/kea4-ctrl-socket"},
            "lease-database": {"type": "memfile", "persist": True, "name": LEASES, "lfc-interval": 3600},
            "authoritative": True,
            # ROM, boot loader, initramfs and operating system of one machine each send a client id of their own.
            "match-client-id": False,
            "valid-lifetime": LEASE_SECONDS,
            "host-reservation-identifiers": ["hw-address"],
            "reservations-global": False,
            "reservations-in-subnet": True,
            "reservations-out-of-pool": True,
            "client-classes": [
                {"name": "ipxe", "test": "substring(option[77].hex,0,4) == 'iPXE'", "boot-file-name": boot["ipxe"]}
            ],
            "subnet4": [
                {
                    "id": 1,
                    "subnet": str(site.network),
                    "interface": "cluster",
                    "next-server": str(site.services_address),
                    "boot-file-name": boot["pxe"],
                    "option-data": [{"name": name, "data": data} for name, data in options(site).items()],
                    "reservations": [reservation(machine) for machine in site.machines],
                }
            ],
            "loggers": [{"name": "kea-dhcp4", "output_options": [{"output": "stdout"}], "severity": "INFO"}],
        }
    }


def bundle(site: Site) -> Bundle:
    """Kea's DHCPv4 server; SIGHUP makes it read its configuration again, which the packages' units do not know."""
    host_os, daemon = site.host_os, site.host_os.dhcp
    return Bundle(
        service="dhcp",
        packages=daemon.packages,
        files=(
            HostFile(
                path=daemon.config,
                group=daemon.group,
                mode="0640",
                text=json.dumps(configuration(site), indent=2) + "\n",
                selinux=host_os.label("etc_t"),
            ),
        ),
        unit_files=(
            drop_in(host_os, daemon, *AFTER_NETWORK, service=("ExecReload=", "ExecReload=/bin/kill -HUP $MAINPID")),
        ),
        checks=(Check("kea-dhcp4", ("kea-dhcp4", "-t", daemon.config)),),
        units=(daemon.unit,),
        reload=("systemctl", "reload", daemon.unit),
        health=(listens_udp(site.services_address, 67),),
    )
