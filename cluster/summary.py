"""What a preview of a new stack shows: everything that is going to be made, on one screen.

Owns the words and their order, from the plan alone. A stack that stands has no such overview: there the changes say
more (changes/). Does not own the facts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from cluster import boot, dns, firewall, footprint, load_balancer
from cluster.changes.effects import listed
from cluster.changes.standing import Standing
from cluster.plan import Plan

# The engine indents by four.
WIDTH = 116


def lines(plan: Plan) -> list[str]:
    """The overview of a stack of which nothing runs yet; empty for one that stands."""
    if not Standing.of(plan.before).new:
        return []
    told = [*_head(plan), *_networks(plan), "machines"]
    return [*_wrapped(told), *_machines(plan), *_wrapped([*_served(plan), *_room(plan)])]


def _wrapped(told: list[str]) -> Iterator[str]:
    for line in told:
        yield from textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _head(plan: Plan) -> Iterator[str]:
    release = plan.settings.release
    more = {"more images": release.additional_images, "operator catalogs": release.operator_catalogs}
    sources = [
        *(release.sources or (str(release.image),)),
        *(f"{len(some)} {what}" for what, some in more.items() if some),
    ]
    yield f"new stack {plan.stack}: {plan.cluster_domain} on {plan.settings.hypervisor.uri}"
    yield f"release {release.version or release.digest}, to be mirrored: {listed(sources)}"


def _networks(plan: Plan) -> Iterator[str]:
    network, uplink, names = plan.settings.network, plan.settings.uplink, plan.names
    ports = ", ".join(f"{port.number} {port.purpose}" for port in firewall.uplink_ports(plan))
    way = f"bridge {uplink.bridge} of the host" if uplink.bridge else f"NAT, bridge {names.uplink_bridge}"
    yield "networks"
    yield f"  cluster: {network.cidr}, isolated, bridge {names.cluster_bridge}, MTU {network.mtu}, router {plan.router}"
    yield f"  uplink: {uplink.cidr}, {way}, gateway {uplink.gateway}; open at {uplink.address}: {ports}"


def _machines(plan: Plan) -> Iterator[str]:
    host, names = plan.settings.services, plan.names
    rows = [("  name", "role", "address", "MAC", "CPUs", "memory", "disks")]
    disks = f"{host.disk_gib} + {host.registry_gib} GiB"
    services = (f"  {host.name}", "services host", str(host.address), names.cluster_mac, str(host.cpus))
    rows.append((*services, f"{host.memory_mib} MiB", disks))
    for one in plan.machines:
        disks = " + ".join(str(size) for size in (one.disk_gib, *one.extra_disks_gib)) + " GiB"
        role = one.role if one.pool in (one.role, one.name) else f"{one.role}, {one.pool}"
        rows.append((f"  {one.name}", role, str(one.address), one.mac, str(one.cpus), f"{one.memory_mib} MiB", disks))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _served(plan: Plan) -> Iterator[str]:
    records = [record for zone in dns.zones(plan) for record in zone.records]
    kinds = [f"{sum(record.type == kind for record in records)} {kind}" for kind in ("A", "PTR")]
    here = [record.name for record in records if record.value == str(plan.services_address)]
    names = ", ".join(name.removesuffix(f".{plan.cluster_domain}") for name in here)
    loaders = listed(["iPXE" if kind == "ipxe" else "PXELINUX" for kind in boot.boot_files(plan)])
    count = len(plan.machines)
    yield f"records: {listed(kinds)}: {names} at {plan.services_address}, each machine at its own address"
    yield f"leases: {count}, and none for any other card; boot profiles: {count}, for {loaders} each"
    yield "back ends"
    groups: dict[str, list[str]] = {}
    for concern in load_balancer.concerns(plan):
        servers = ", ".join(f"{server.name}{' as backup' if server.backup else ''}" for server in concern.servers)
        groups.setdefault(servers, []).append(f"{concern.port} {concern.name}")
    yield from (f"  {', '.join(ports)}: {servers}" for servers, ports in groups.items())
    files = sum(len(bundle.files) for bundle in plan.bundles)
    yield f"files: {files} in {len(plan.bundles)} services; `make render STACK={plan.stack} OUT=directory` writes them"


def _room(plan: Plan) -> Iterator[str]:
    services, machines = plan.settings.services, footprint.machines(plan)
    kinds = {
        "services host": services.disk_gib,
        "registry": services.registry_gib,
        "machines": sum(one.disk_gib for one in machines),
        "extra disks": sum(sum(one.extra_disks_gib) for one in machines),
    }
    told = ", ".join(f"{kind} {size}" for kind, size in kinds.items() if size)
    yield f"memory: {footprint.memory_mib(plan) / 1024:.1f} GiB at once"
    yield (
        f"disk: at most {sum(footprint.volumes(plan).values())} GiB ({told}) and the services host's image, as the "
        f"volumes fill, in pool {plan.names.pool} at {plan.settings.hypervisor.pool_path}"
    )
