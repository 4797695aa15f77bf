"""The services host's operating systems: the one table of packages, units, paths, users and SELinux facts.

Owns every difference between Debian 12 and Fedora. Debian 12 is proved end to end; Fedora is rendered and its text
tested. Does not own what is configured. `pigz` is what `oc` unpacks layers with where it is there: its own library
takes five times as long.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.host_files import SelinuxPolicy

HTTP_ROOT = "/var/www/okd"
REGISTRY_MOUNT = "/var/lib/okd-registry"
# Where the release's tools and ignition configs are made, and where its tools are called by name.
# On the data volume, which outlives the host: a cluster's first credentials must.
RELEASE, TOOLS = "/var/lib/okd-registry/okd-libvirt", "/usr/local/bin"
# What a machine's boot leaves on the services host.
BOOT_LOG, REPORT_LOG = "/var/log/nginx/boot.log", "/var/log/nginx/report.log"
LEASES = "/var/lib/kea/kea-leases4.csv"
# While it is there cloud-init does not start (why: okd_host/ready.py, which makes it at the end of the first boot).
CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"
CLOUD_INIT_OFF_TEXT = (
    "okd-libvirt: the first boot is finished, and at later ones cloud-init would stand in firewalld's way\n"
)


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """One daemon: `config` is its main file, `group` may read it, `user` is whom it runs as."""

    packages: tuple[str, ...]
    unit: str
    config: str
    user: str = "root"
    group: str = "root"

    @property
    def drop_in(self) -> str:
        """The path of our additions to its unit."""
        return f"/etc/systemd/system/{self.unit}.d/okd-libvirt.conf"


@dataclass(frozen=True, kw_only=True)
class HostOs:
    """One operating system."""

    name: str
    package_manager: str
    base_packages: tuple[str, ...]
    firewall: Daemon
    time: Daemon
    dns: Daemon
    dhcp: Daemon
    tftp: Daemon
    http: Daemon
    registry: Daemon
    load_balancer: Daemon
    chrony_drift_file: str
    named_directory: str
    zone_directory: str
    resolved: bool
    tftp_root: str
    boot_loader: tuple[str, ...]
    http_pid: str
    registry_program: str
    registry_htpasswd: str
    registry_tls: str
    registry_owner: str
    trust_anchor: str
    trust_store: str
    trust_update: tuple[str, ...]
    load_balancer_socket: str
    selinux: bool
    load_balancer_selinux: SelinuxPolicy | None = None

    def label(self, kind: str) -> str | None:
        """An SELinux type where SELinux is enforced."""
        return kind if self.selinux else None

    @property
    def packages(self) -> tuple[str, ...]:
        """Every package of the services host, each once, in order."""
        daemons = (
            self.firewall,
            self.time,
            self.dns,
            self.dhcp,
            self.tftp,
            self.http,
            self.registry,
            self.load_balancer,
        )
        names = [*self.base_packages, *(package for daemon in daemons for package in daemon.packages)]
        return tuple(dict.fromkeys(names))


DEBIAN_12 = HostOs(
    name="debian-12",
    package_manager="apt",
    base_packages=("ca-certificates", "curl", "iproute2", "openssh-client", "openssl", "pigz", "python3"),
    firewall=Daemon(
        packages=("firewalld", "nftables"), unit="firewalld.service", config="/etc/firewalld/firewalld.conf"
    ),
    time=Daemon(packages=("chrony",), unit="chrony.service", config="/etc/chrony/chrony.conf", user="_chrony"),
    dns=Daemon(
        packages=("bind9", "bind9-utils", "bind9-dnsutils"),
        unit="named.service",
        config="/etc/bind/named.conf",
        user="bind",
        group="bind",
    ),
    dhcp=Daemon(
        packages=("kea-dhcp4-server",),
        unit="kea-dhcp4-server.service",
        config="/etc/kea/kea-dhcp4.conf",
        user="_kea",
        group="_kea",
    ),
    tftp=Daemon(
        packages=("tftpd-hpa", "pxelinux", "syslinux-common"),
        unit="tftpd-hpa.service",
        config="/etc/systemd/system/tftpd-hpa.service",
        user="tftp",
    ),
    http=Daemon(
        packages=("nginx-light",),
        unit="nginx.service",
        config="/etc/nginx/nginx.conf",
        user="www-data",
        group="www-data",
    ),
    registry=Daemon(
        packages=("docker-registry",),
        unit="docker-registry.service",
        config="/etc/docker/registry/config.yml",
        user="docker-registry",
        group="docker-registry",
    ),
    load_balancer=Daemon(
        packages=("haproxy",),
        unit="haproxy.service",
        config="/etc/haproxy/haproxy.cfg",
        user="haproxy",
        group="haproxy",
    ),
    chrony_drift_file="/var/lib/chrony/chrony.drift",
    named_directory="/var/cache/bind",
    zone_directory="/etc/bind/zones",
    resolved=False,
    tftp_root="/srv/tftp",
    boot_loader=("/usr/lib/PXELINUX/lpxelinux.0", "/usr/lib/syslinux/modules/bios/ldlinux.c32"),
    http_pid="/run/nginx.pid",
    registry_program="/usr/bin/docker-registry",
    registry_htpasswd="/etc/docker/registry/htpasswd",
    registry_tls="/etc/docker/registry/tls",
    registry_owner="docker-registry",
    trust_anchor="/usr/local/share/ca-certificates/okd-libvirt.crt",
    trust_store="/etc/ssl/certs/ca-certificates.crt",
    trust_update=("update-ca-certificates",),
    load_balancer_socket="/run/haproxy/admin.sock",
    selinux=False,
)

FEDORA = HostOs(
    name="fedora",
    package_manager="dnf",
    base_packages=(
        "ca-certificates",
        "curl",
        "iproute",
        "openssh-clients",
        "openssl",
        "pigz",
        "policycoreutils-python-utils",
        "python3",
    ),
    firewall=Daemon(
        packages=("firewalld", "nftables"), unit="firewalld.service", config="/etc/firewalld/firewalld.conf"
    ),
    time=Daemon(packages=("chrony",), unit="chronyd.service", config="/etc/chrony.conf", user="chrony"),
    dns=Daemon(
        packages=("bind", "bind-utils"), unit="named.service", config="/etc/named.conf", user="named", group="named"
    ),
    dhcp=Daemon(packages=("kea",), unit="kea-dhcp4.service", config="/etc/kea/kea-dhcp4.conf", user="kea", group="kea"),
    tftp=Daemon(
        packages=("tftp-server", "syslinux-nonlinux"),
        unit="tftp.service",
        config="/etc/systemd/system/tftp.service",
        user="nobody",
    ),
    http=Daemon(packages=("nginx",), unit="nginx.service", config="/etc/nginx/nginx.conf", user="nginx", group="nginx"),
    registry=Daemon(
        packages=("docker-distribution",),
        unit="docker-distribution.service",
        config="/etc/docker-distribution/registry/config.yml",
    ),
    load_balancer=Daemon(
        packages=("haproxy",),
        unit="haproxy.service",
        config="/etc/haproxy/haproxy.cfg",
        user="haproxy",
        group="haproxy",
    ),
    chrony_drift_file="/var/lib/chrony/drift",
    named_directory="/var/named",
    zone_directory="/etc/named/zones",
    resolved=True,
    tftp_root="/var/lib/tftpboot",
    boot_loader=("/usr/share/syslinux/lpxelinux.0", "/usr/share/syslinux/ldlinux.c32"),
    http_pid="/run/nginx.pid",
    registry_program="/usr/bin/registry",
    registry_htpasswd="/etc/docker-distribution/registry/htpasswd",
    registry_tls="/etc/docker-distribution/registry/tls",
    registry_owner="root",
    trust_anchor="/etc/pki/ca-trust/source/anchors/okd-libvirt.pem",
    trust_store="/etc/pki/tls/certs/ca-bundle.crt",
    trust_update=("update-ca-trust", "extract"),
    load_balancer_socket="/var/lib/haproxy/stats",
    selinux=True,
    load_balancer_selinux=SelinuxPolicy(
        booleans=("haproxy_connect_any",),
        ports=((6443, "tcp", "http_port_t"), (22623, "tcp", "http_port_t")),
    ),
)

HOST_SYSTEMS = {system.name: system for system in (DEBIAN_12, FEDORA)}
