"""The load balancer: API, machine config and ingress of the cluster.

Owns HAProxy's rows: which machines stand behind which port, how they are checked, how many connections it takes, and
where it listens. Addresses, not names, so that it starts without a name server. Nothing ends open connections at a
reload. Does not own when the bootstrap machine leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
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
# So many connections a port takes, and so many more for each node; one that is full leaves the others theirs.
# To the API a node holds one for each client on its own network, which all watches of that client share: kubelet,
# network plugin, machine config daemon, host-network operators; some twenty. Five times as many, since all come anew
# when an API server goes, while those that lost it linger. The rest is people's and pipelines'. To the ingress come
# people and pods, whose number grows with the nodes; to its HTTP mostly to be sent to HTTPS. Machine config is asked
# for while a machine boots.
USUAL, REDIRECTED, BOOTING = (2000, 100), (1000, 50), (200, 20)
STATS_CONNECTIONS = 50
# Beside two for each connection HAProxy keeps files open for listeners, threads, and the checks of each server.
OWN_FILES, CHECK_FILES = 1024, 2


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
    """One port of the load balancer, so many connections that it takes at once, and the machines behind it."""

    name: str
    port: int
    connections: int
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
    nodes = len(control_plane) + len(site.of_role("compute"))
    usual, redirected, booting = (some + more * nodes for some, more in (USUAL, REDIRECTED, BOOTING))
    readyz = ("httpchk GET /readyz HTTP/1.0", "log-health-checks")
    return (
        Concern(API, API_PORT, usual, "roundrobin", readyz, API_CHECK, behind_api),
        Concern(MACHINE_CONFIG, MACHINE_CONFIG_PORT, booting, "roundrobin", (), "check inter 1s", behind_api),
        Concern("ingress-https", 443, usual, "source", spread, "check inter 1s", behind_ingress),
        Concern("ingress-http", 80, redirected, "source", spread, "check inter 1s", behind_ingress),
    )


def _servers(machines: tuple[Machine, ...], *, backup: bool = False) -> tuple[Server, ...]:
    return tuple(Server(machine.name, str(machine.address), backup) for machine in machines)


def connections(rows: Sequence[Concern]) -> int:
    """How many connections HAProxy takes at once, all ports together."""
    return sum(row.connections for row in rows) + STATS_CONNECTIONS


def open_files(rows: Sequence[Concern]) -> int:
    """How many files HAProxy may have open: a power of two, so that one machine more seldom changes the unit."""
    checks = CHECK_FILES * sum(len(row.servers) for row in rows)
    return 1 << (2 * connections(rows) + checks + OWN_FILES - 1).bit_length()


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
        connections=connections(rows),
        concerns=[(row, addresses(site, row.port)) for row in rows],
        stats_connections=STATS_CONNECTIONS,
        stats=f"{site.services_address}:{STATS_PORT}",
    )
    return Bundle(
        service="load-balancer",
        packages=daemon.packages,
        files=(HostFile(path=daemon.config, text=text, selinux=host_os.label("etc_t")),),
        unit_files=(drop_in(host_os, daemon, service=(f"LimitNOFILE={open_files(rows)}",)),),
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
