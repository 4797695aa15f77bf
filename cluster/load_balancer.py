"""The load balancer: API, machine config and ingress of the cluster.

Owns HAProxy's rows: which machines stand behind which port, how they are checked, and where it listens. Addresses, not
names, so that it starts without a name server. Nothing ends open connections at a reload. Does not own when the
bootstrap machine leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster import ingress
from cluster.host_files import Bundle, Check, Health, HostFile
from cluster.machines import Machine
from cluster.render import render
from cluster.site import API_PORT, MACHINE_CONFIG_PORT, STATS_PORT, Site
from cluster.units import PROBE_SECONDS, drop_in

# Behind these stands the control plane, and the bootstrap machine until the control plane has taken over.
API, MACHINE_CONFIG = "api", "machine-config"
# OpenShift's own numbers. Once an answer differs from the last, the next ones are asked for sooner: else an API server
# that came up would get nothing for half a minute more.
API_CHECK = "check check-ssl verify none inter 10s fastinter 2s downinter 5s fall 2 rise 3"


@dataclass(frozen=True)
class Server:
    """One machine behind a port; a backup serves only when no other does."""

    name: str
    address: str
    backup: bool

    @property
    def suffix(self) -> str:
        """What follows the check in HAProxy's line."""
        return " backup" if self.backup else ""


@dataclass(frozen=True)
class Concern:
    """One port of the load balancer and the machines behind it."""

    name: str
    port: int
    balance: str
    options: tuple[str, ...]
    check: str
    servers: tuple[Server, ...]


def concerns(site: Site) -> tuple[Concern, ...]:
    """The rows: API and machine config to the control plane, ingress to its pool's machines.

    All others are its backups: they answer while routers still run there, as when the ingress moves.
    """
    bootstrap = () if site.before.bootstrapped else site.of_role("bootstrap")
    control_plane = site.of_role("control-plane")
    behind_api = (*_servers(control_plane), *_servers(bootstrap, backup=True))
    routers = ingress.of(site)
    behind_ingress = (*_servers(routers.machines), *_servers(routers.others, backup=True))
    spread = ("allbackups",) if routers.others else ()
    readyz = ("httpchk GET /readyz HTTP/1.0", "log-health-checks")
    return (
        Concern(API, API_PORT, "roundrobin", readyz, API_CHECK, behind_api),
        Concern(MACHINE_CONFIG, MACHINE_CONFIG_PORT, "roundrobin", (), "check inter 1s", behind_api),
        Concern("ingress-https", 443, "source", spread, "check inter 1s", behind_ingress),
        Concern("ingress-http", 80, "source", spread, "check inter 1s", behind_ingress),
    )


def _servers(machines: tuple[Machine, ...], *, backup: bool = False) -> tuple[Server, ...]:
    return tuple(Server(machine.name, str(machine.address), backup) for machine in machines)


def addresses(site: Site, port: int) -> tuple[str, ...]:
    """Where a port listens: on the cluster network, and on the uplink when the settings expose it."""
    uplink = site.settings.uplink
    return (str(site.services_address), *([str(uplink.address)] if port in uplink.expose else []))


def bundle(site: Site) -> Bundle:
    """HAProxy, reloaded with its listening sockets handed over."""
    host_os, daemon = site.host_os, site.host_os.load_balancer
    rows = concerns(site)
    text = render(
        "haproxy.cfg.j2",
        user=daemon.user,
        group=daemon.group,
        socket=host_os.load_balancer_socket,
        concerns=[(row, addresses(site, row.port)) for row in rows],
        stats=f"{site.services_address}:{STATS_PORT}",
    )
    return Bundle(
        service="load-balancer",
        packages=daemon.packages,
        files=(HostFile(path=daemon.config, text=text, selinux=host_os.label("etc_t")),),
        unit_files=(drop_in(host_os, daemon),),
        checks=(Check("haproxy", ("haproxy", "-c", "-f", daemon.config)),),
        units=(daemon.unit,),
        reload=("systemctl", "reload", daemon.unit),
        health=(
            *(Health(f"{row.name} accepts", tcp=f"{site.services_address}:{row.port}") for row in rows),
            Health(
                "shows statistics",
                (
                    "curl",
                    "-fsS",
                    "--max-time",
                    PROBE_SECONDS,
                    "-o",
                    "/dev/null",
                    f"http://{site.services_address}:{STATS_PORT}/",
                ),
            ),
        ),
        selinux=host_os.load_balancer_selinux,
    )
