"""`python -m cluster.topology --stack NAME --out FILE`: a picture of a stack, as SVG.

Owns what the picture shows, from the plan alone, and where: uplink, services host with its ports, cluster network,
machines by pool, and for each port who asks and who answers behind the load balancer. Does not own the facts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from cluster import load_balancer
from cluster.firewall import CLUSTER_PORTS, Port, uplink_ports
from cluster.machines import Machine
from cluster.picture import ROW, Box, Dot, Line, Picture, Text
from cluster.plan import Plan
from cluster.review import planned
from cluster.settings import SettingsError

MARGIN, GAP, LANE = 40, 16, 30
# Widths of a character at the sizes that the template's styles give; wide enough for any common sans-serif.
CHARACTER, SMALL = 7.6, 6.8
# What the machines do with a port, by the ports' numbers; the picture has one lane each, in the order of a boot.
LANES = (
    ("PXE boot", (67, 69)),
    ("boot image, ignition", (8080,)),
    ("DNS", (53,)),
    ("time", (123,)),
    ("images", (5000,)),
    ("machine config", (22623,)),
    ("API", (6443,)),
    ("ingress", (443, 80)),
    ("statistics", (9000,)),
)
# Users ask for these, the cluster's machines do not.
ASKED_BY_USERS = {443, 80, 9000}


def svg(plan: Plan) -> str:
    """The picture of a stack."""
    return _drawn(plan).svg(f"Stack {plan.stack}: {plan.cluster_domain}")


def _drawn(plan: Plan) -> Picture:
    picture, pools = Picture(), _pools(plan)
    services = _services_lines(plan)
    left = _width([*(text for text, _ in services), _network_name(plan)])
    cells = {pool: [_machine_lines(machine) for machine in machines] for pool, machines in pools.items()}
    widths = {pool: _width([text for lines in rows for text, _ in lines]) for pool, rows in cells.items()}
    columns, x = {}, MARGIN + 20 + left + 3 * GAP
    for pool in pools:
        columns[pool] = x
        x += widths[pool] + GAP
    picture.width = max(x - GAP + 20 + MARGIN, 900)
    right = picture.width - MARGIN - 20
    top = _outside(picture, plan, right)
    lanes = top + 20 + len(services) * ROW + 22
    bottom = lanes + len(LANES) * LANE
    picture.frame(Box(MARGIN + 20, top, left, bottom - top, "services"), services)
    _flows(picture, plan, columns, widths, MARGIN + 20 + left, lanes)
    network = bottom + 46
    _network(picture, plan, right, bottom, network)
    tallest = network
    for pool, rows in cells.items():
        middle = columns[pool] + widths[pool] / 2
        picture.lines.append(Line(middle, lanes - 12, middle, network, "stem"))
        y = network + 26
        for lines in rows:
            picture.frame(Box(columns[pool], y, widths[pool], len(lines) * ROW + 14, pools[pool][0].role), lines)
            picture.lines.append(Line(middle, y - 10 if y > network + 26 else network, middle, y, "cable"))
            y += len(lines) * ROW + 24
        tallest = max(tallest, y + 8)
    picture.boxes.insert(0, Box(MARGIN, 150, picture.width - 2 * MARGIN, tallest + 10 - 150, "host"))
    where = f"libvirt host {plan.settings.hypervisor.uri}, storage pool {plan.names.pool}"
    picture.texts.append(Text(MARGIN + 20, tallest, where))
    picture.height = tallest + 70
    _legend(picture, tallest + 36)
    return picture


def _pools(plan: Plan) -> dict[str, list[Machine]]:
    pools: dict[str, list[Machine]] = {}
    for machine in plan.machines:
        pools.setdefault(machine.pool, []).append(machine)
    return pools


def _width(texts: Sequence[str]) -> float:
    return max(170.0, max(len(text) for text in texts) * CHARACTER + 24)


def _services_lines(plan: Plan) -> list[tuple[str, str]]:
    host = plan.settings.services
    return [
        (plan.services_fqdn, "name"),
        (f"services host, {host.operating_system}", "small"),
        (f"{host.cpus} CPU, {host.memory_mib} MiB, disk {host.disk_gib} GiB", "small"),
        (f"registry data {host.registry_gib} GiB{', protected' if host.protect_registry else ''}", "small"),
    ]


def _machine_lines(machine: Machine) -> list[tuple[str, str]]:
    disks = " + ".join(str(size) for size in (machine.disk_gib, *machine.extra_disks_gib))
    pool = "" if machine.pool == machine.role else f", pool {machine.pool}"
    return [
        (machine.name, "name"),
        (f"{machine.role}{pool}", "small"),
        (str(machine.address), "mono"),
        (machine.mac, "mono"),
        (f"{machine.cpus} CPU, {machine.memory_mib} MiB, {disks} GiB", "small"),
    ]


def _outside(picture: Picture, plan: Plan, right: float) -> float:
    """What lies outside of the libvirt host, and the uplink; returns where the services host may begin."""
    uplink = plan.settings.uplink
    middle = picture.width - MARGIN - 20 - 340
    picture.frame(
        Box(MARGIN, 74, 330, 44, "outside"), [("operator", "name"), ("pulumi, oc, SSH to the services host", "small")]
    )
    picture.frame(
        Box(middle, 74, 340, 44, "outside"),
        [("upstream", "name"), ("registry, boot image, time servers", "small")],
    )
    kind = f"bridge {uplink.bridge}" if uplink.bridge else f"NAT network {plan.names.uplink_network}"
    picture.texts.append(Text(MARGIN + 130, 178, f"uplink {uplink.cidr}, {kind}", "name"))
    ports = ", ".join(f"{port.number} {port.purpose}" for port in uplink_ports(plan))
    picture.lines += [
        Line(MARGIN + 20, 190, right, 190, "uplink"),
        Line(MARGIN + 120, 118, MARGIN + 120, 190, "cable"),
        Line(middle + 170, 118, middle + 170, 190, "cable"),
        Line(MARGIN + 120, 190, MARGIN + 120, 230, "cable"),
    ]
    picture.texts.append(Text(MARGIN + 130, 214, f"{uplink.address} open: {ports}"))
    return 230


def _flows(
    picture: Picture, plan: Plan, columns: dict[str, float], widths: dict[str, float], left: float, top: float
) -> None:
    """A lane for each port of the services host, with what each pool does there."""
    ports = {
        number: [port for port in CLUSTER_PORTS if port.number == number] for _, group in LANES for number in group
    }
    pools = _pools(plan)
    for number, (purpose, group) in enumerate(LANES):
        y = top + number * LANE
        last = left
        for pool, machines in pools.items():
            if kind := _part(plan, machines, group[0]):
                last = columns[pool] + widths[pool] / 2
                picture.dots.append(Dot(last, y, kind))
        picture.lines.append(Line(left, y, last, y, "lane"))
        picture.texts.append(Text(MARGIN + 30, y + 4, f"{_numbers(ports[one] for one in group)} {purpose}", "port"))


def _part(plan: Plan, machines: list[Machine], port: int) -> str:
    """What a pool's machines do with a port."""
    servers = {one.name: one for row in load_balancer.concerns(plan) if row.port == port for one in row.servers}
    behind = [servers[machine.name] for machine in machines if machine.name in servers]
    if behind:
        return "backup" if all(server.backup for server in behind) else "answers"
    return "" if port in ASKED_BY_USERS else "asks"


def _numbers(groups: Iterator[list[Port]]) -> str:
    return ", ".join(f"{rows[0].number}/{'+'.join(row.protocol for row in rows)}" for rows in groups)


def _network(picture: Picture, plan: Plan, right: float, bottom: float, y: float) -> None:
    picture.lines += [
        Line(MARGIN + 20, y, right, y, "network"),
        Line(MARGIN + 120, bottom, MARGIN + 120, y, "cable"),
    ]
    picture.texts += [
        Text(MARGIN + 130, bottom + 18, str(plan.services_address), "mono"),
        Text(MARGIN + 20, y + 22, _network_name(plan), "name"),
        Text(MARGIN + 20, y + 38, plan.names.cluster_network, "small"),
        Text(MARGIN + 20, y + 54, "isolated: no way out of it", "small"),
    ]


def _network_name(plan: Plan) -> str:
    return f"cluster network {plan.network}"


def _legend(picture: Picture, y: float) -> None:
    x: float = MARGIN
    for kind, text in {
        "asks": "asks the services host",
        "answers": "asks, and answers behind its load balancer",
        "backup": "answers while no other does",
    }.items():
        picture.dots.append(Dot(x + 6, y, kind))
        picture.texts.append(Text(x + 18, y + 4, text, "small"))
        x += 18 + len(text) * SMALL + 30


def main(argv: list[str]) -> int:
    """Write a stack's picture; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.topology")
    parser.add_argument("--stack", required=True)
    parser.add_argument("--out", required=True, type=Path)
    words = parser.parse_args(argv)
    try:
        text = svg(planned(words.stack, stands=True))
    except (OSError, SettingsError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 1
    words.out.parent.mkdir(parents=True, exist_ok=True)
    words.out.write_text(text)
    print(f"picture of stack {words.stack} written to {words.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
