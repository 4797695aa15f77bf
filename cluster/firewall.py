"""Which ports of the services host are open, and from where.

Owns the rows and firewalld's zones: everything not listed is refused on the cluster network and the uplink, and
dropped on any other interface; and that cloud-init, which cannot be ordered beside firewalld, starts no more. Does not
own routing: nothing is forwarded between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.host_files import Bundle, Check, HostFile
from cluster.host_os import CLOUD_INIT_OFF, CLOUD_INIT_OFF_TEXT
from cluster.render import render
from cluster.site import Site
from cluster.units import drop_in, prints


@dataclass(frozen=True)
class Port:
    """One open port; `protocol` is tcp or udp."""

    number: int
    protocol: str
    purpose: str


CLUSTER_PORTS = (
    Port(53, "tcp", "DNS"),
    Port(53, "udp", "DNS"),
    Port(67, "udp", "DHCP"),
    Port(69, "udp", "TFTP"),
    Port(80, "tcp", "ingress"),
    Port(123, "udp", "NTP"),
    Port(443, "tcp", "ingress"),
    Port(5000, "tcp", "mirror registry"),
    Port(6443, "tcp", "API"),
    Port(8080, "tcp", "boot image and ignition configs"),
    Port(9000, "tcp", "load balancer statistics"),
    Port(22623, "tcp", "machine config"),
)
PURPOSES = {port.number: port.purpose for port in CLUSTER_PORTS}


def uplink_ports(site: Site) -> tuple[Port, ...]:
    """SSH, and what the settings expose."""
    exposed = sorted(set(site.settings.uplink.expose))
    return (Port(22, "tcp", "SSH"), *(Port(number, "tcp", PURPOSES[number]) for number in exposed))


def bundle(site: Site) -> Bundle:
    """Firewalld with one zone for each side of the services host."""
    daemon, label = site.host_os.firewall, site.host_os.label("firewalld_etc_rw_t")
    zones = {
        "okd-cluster": ("cluster", "The cluster network: what its machines need", CLUSTER_PORTS),
        "okd-uplink": ("uplink", "The uplink: administration and what is exposed", uplink_ports(site)),
    }
    files = [
        HostFile(
            path=f"/etc/firewalld/zones/{zone}.xml",
            text=render("firewalld-zone.xml.j2", interface=interface, description=description, ports=ports),
            selinux=label,
        )
        for zone, (interface, description, ports) in zones.items()
    ]
    # What the kernel holds, asked without starting firewalld's Python, which costs seconds on an emulated host.
    held = "nft list chain inet firewalld filter_INPUT_ZONES"
    held += " | grep -cE 'iifname \"(cluster|uplink)\" goto filter_IN_okd-\\1'"
    return Bundle(
        service="firewall",
        packages=daemon.packages,
        files=(
            HostFile(path=daemon.config, text=render("firewalld.conf.j2"), selinux=label),
            *files,
            HostFile(path=CLOUD_INIT_OFF, text=CLOUD_INIT_OFF_TEXT, selinux=site.host_os.label("etc_t")),
        ),
        unit_files=(drop_in(site.host_os, daemon),),
        owns=("/etc/firewalld/zones",),
        checks=(Check("firewall-offline-cmd", ("firewall-offline-cmd", "--check-config")),),
        units=(daemon.unit,),
        reload=("firewall-cmd", "--reload"),
        restart_on=(daemon.config,),
        health=(prints("both sides are in their zones", held, "2"),),
    )
