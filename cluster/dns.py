"""Names of the cluster network: records, zones and the name server.

Owns BIND's rows and files, forward and reverse, and that the services host resolves through itself. The cluster
network gets authoritative answers only: names of the outside are refused, which is part of the air gap. Does not own
names outside the cluster domain.

DNSSEC validation is off: all the host's own questions go to the site's resolvers, which may serve private zones that
no signed parent knows, and before time is right every signature looks expired. With no resolver there is no recursion.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from cluster import own_names
from cluster.host_files import Bundle, Check, Health, HostFile
from cluster.render import render
from cluster.site import Site
from cluster.units import AFTER_NETWORK, drop_in, prints

TTL_SECONDS = 300


@dataclass(frozen=True)
class Record:
    """One record; `name` and, for a PTR, `value` are full names without a trailing dot."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Zone:
    """One zone and its records, the apex excepted."""

    name: str
    records: tuple[Record, ...]


def forward_records(site: Site) -> tuple[Record, ...]:
    """The A records; everything but the machines themselves is at the services host."""
    domain, services = site.cluster_domain, str(site.services_address)
    return (
        *(Record(f"{name}.{domain}", "A", services) for name in own_names.at_services(site.settings.services.name)),
        *(Record(machine.fqdn, "A", str(machine.address)) for machine in site.machines),
    )


def reverse_records(site: Site) -> tuple[Record, ...]:
    """The PTR records of the services host, the API's names and every machine."""
    services = site.services_address.reverse_pointer
    return (
        *(Record(services, "PTR", f"{name}.{site.cluster_domain}") for name in ("api", "api-int")),
        Record(services, "PTR", site.services_fqdn),
        *(Record(machine.address.reverse_pointer, "PTR", machine.fqdn) for machine in site.machines),
    )


def reverse_zone_names(network: IPv4Network) -> tuple[str, ...]:
    """The in-addr.arpa zones that cover a network: one a /24, or one for a whole /16.

    A network longer than /24 lies inside one zone that also covers its neighbours.
    """
    labels = 2 if network.prefixlen == 16 else 3
    blocks = network.subnets(new_prefix=24) if 16 < network.prefixlen < 24 else [network]
    return tuple(block.network_address.reverse_pointer.split(".", 4 - labels)[-1] for block in blocks)


def zones(site: Site) -> tuple[Zone, ...]:
    """The forward zone, then the reverse zones, which may be without records."""
    reverse = reverse_records(site)
    return (
        Zone(site.cluster_domain, forward_records(site)),
        *(
            Zone(name, tuple(record for record in reverse if record.name.endswith(f".{name}")))
            for name in reverse_zone_names(site.network)
        ),
    )


def records(site: Site) -> tuple[Record, ...]:
    """Every record as a client may ask for it, the wildcard by a name under it."""
    return tuple(
        Record(record.name.replace("*", "console-openshift-console", 1), record.type, record.value)
        for zone in zones(site)
        for record in zone.records
    )


def zone_text(site: Site, zone: Zone) -> str:
    """A zone file; its serial is a hash of the rest, so that it changes exactly when the zone does."""

    def text(serial: int) -> str:
        rows = [
            (record.name, record.type, f"{record.value}." if record.type == "PTR" else record.value)
            for record in zone.records
        ]
        return render(
            "zone.db.j2", zone=zone.name, domain=site.cluster_domain, ttl=TTL_SECONDS, serial=serial, rows=rows
        )

    digest = hashlib.sha256(text(0).encode()).digest()
    return text(int.from_bytes(digest[:4], "big") % (2**32 - 1) + 1)


def bundle(site: Site) -> Bundle:
    """BIND, and the host's own resolver pointed at it."""
    host_os, daemon = site.host_os, site.host_os.dns
    label = host_os.label("named_conf_t")
    served = {f"{host_os.zone_directory}/{zone.name}.db": zone for zone in zones(site)}
    main = HostFile(
        path=daemon.config,
        group=daemon.group,
        mode="0640",
        text=render(
            "named.conf.j2",
            directory=host_os.named_directory,
            address=site.services_address,
            network=site.network,
            resolvers=site.settings.uplink.resolvers,
            zones=[(zone.name, path) for path, zone in served.items()],
        ),
        selinux=label,
    )
    zone_files = (
        HostFile(path=path, group=daemon.group, mode="0640", text=zone_text(site, zone), selinux=label)
        for path, zone in served.items()
    )
    also = ("systemd-resolved.service",) if host_os.resolved else ()
    return Bundle(
        service="dns",
        packages=daemon.packages,
        files=(main, *zone_files, _resolver(site)),
        unit_files=(drop_in(host_os, daemon, *AFTER_NETWORK),),
        owns=(host_os.zone_directory,),
        checks=(
            Check("named-checkconf", ("named-checkconf", "-z", daemon.config)),
            *(
                Check(f"named-checkzone {zone.name}", ("named-checkzone", zone.name, path))
                for path, zone in served.items()
            ),
        ),
        units=(daemon.unit, *also),
        reload=("systemctl", "reload-or-restart", daemon.unit, *also) if also else ("systemctl", "reload", daemon.unit),
        health=(
            _answers(site.services_address, f"{site.services_fqdn} A", str(site.services_address)),
            *(
                _answers(site.services_address, f"-x {machine.address}", f"{machine.fqdn}.")
                for machine in site.machines[:1]
            ),
            prints(
                "the host resolves through it",
                f"getent ahostsv4 {site.services_fqdn} | awk 'NR == 1 {{ print $1 }}'",
                str(site.services_address),
            ),
        ),
    )


def _resolver(site: Site) -> HostFile:
    if site.host_os.resolved:
        path, template = "/etc/systemd/resolved.conf.d/okd-libvirt.conf", "resolved.conf.j2"
    else:
        path, template = "/etc/resolv.conf", "resolv.conf.j2"
    return HostFile(path=path, text=render(template, domain=site.cluster_domain))


def _answers(server: IPv4Address, question: str, expected: str) -> Health:
    return prints(f"answers {question}", f"dig @{server} {question} +short +time=30 +tries=1", expected)
