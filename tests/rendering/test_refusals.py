"""One bad input a daemon: its parser must refuse it, and say why in words that a report can show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.host_files import Bundle
from tests.rendering.conftest import NewHouse, plan_of
from tests.rendering.house import House

pytestmark = pytest.mark.daemons
ZONE = "/etc/bind/zones/okd.lab.example.db"

# service, file, what is made of its text, a word of the parser's answer
BROKEN: dict[str, tuple[str, str, Callable[[str], str], str]] = {
    "firewalld: a port beyond 65535": (
        "firewall",
        "/etc/firewalld/zones/okd-cluster.xml",
        lambda text: text.replace('port="5000"', 'port="500000"'),
        "500000",
    ),
    "chrony: a misspelt directive": (
        "time",
        "/etc/chrony/chrony.conf",
        lambda text: text.replace("allow ", "alow "),
        "alow",
    ),
    "BIND: the option that 9.18 no longer has": (
        "dns",
        "/etc/bind/named.conf",
        lambda text: text.replace("dnssec-validation no;", "dnssec-enable yes;"),
        "dnssec-enable",
    ),
    "BIND: an address that is none": (
        "dns",
        ZONE,
        lambda text: text.replace("192.168.200.20", "192.168.200.256"),
        "bad dotted quad",
    ),
    "BIND: a name with an underscore": (
        "dns",
        ZONE,
        lambda text: text.replace("compute-0.", "compute_0."),
        "bad owner name",
    ),
    "Kea: an address outside the subnet": (
        "dhcp",
        "/etc/kea/kea-dhcp4.conf",
        lambda text: text.replace('"ip-address": "192.168.200.20"', '"ip-address": "10.0.0.1"'),
        "10.0.0.1",
    ),
    "Kea: a MAC reserved twice": (
        "dhcp",
        "/etc/kea/kea-dhcp4.conf",
        lambda text: text.replace(plan_of("dev").machines[1].mac, plan_of("dev").machines[0].mac),
        "already",
    ),
    "nginx: a directive without its end": (
        "http",
        "/etc/nginx/nginx.conf",
        lambda text: text.replace("autoindex off;", "autoindex off"),
        "nginx.conf",
    ),
    "registry: a certificate cut short": (
        "registry",
        "/etc/docker/registry/tls/registry.crt",
        lambda text: text[: len(text) // 2],
        "certificate",
    ),
    "registry: a key of another certificate": (
        "registry",
        "/etc/docker/registry/tls/registry.key",
        lambda text: text.replace("KEY", "YEK"),
        "key",
    ),
    "registry: an unknown storage": (
        "registry",
        "/etc/docker/registry/config.yml",
        lambda text: text.replace("filesystem:", "papyrus:"),
        "papyrus",
    ),
    "HAProxy: a server that is a name": (
        "load-balancer",
        "/etc/haproxy/haproxy.cfg",
        lambda text: text.replace("192.168.200.20:443", "compute-0.invalid:443"),
        "compute-0",
    ),
    "HAProxy: a last line without an end": (
        "load-balancer",
        "/etc/haproxy/haproxy.cfg",
        lambda text: text.rstrip("\n"),
        "Missing LF",
    ),
}


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> House:
    return new_house(plan_of("dev"))


def refusals(house: House, bundle: Bundle) -> list[str]:
    done = [house.run(*check.argv) for check in bundle.checks]
    return [result.stdout + result.stderr for result in done if result.returncode]


@pytest.mark.parametrize(("service", "path", "breaking", "word"), BROKEN.values(), ids=BROKEN)
def test_the_parser_refuses(house: House, service: str, path: str, breaking: Callable[[str], str], word: str) -> None:
    bundle = next(bundle for bundle in house.plan.bundles if bundle.service == service)
    good = house.read(path)
    bad = breaking(good)
    assert bad != good
    house.write(path, bad)
    try:
        messages = refusals(house, bundle)
    finally:
        house.write(path, good)
    assert messages, "accepted"
    assert any(word in message for message in messages), messages
    assert not refusals(house, bundle), "the good files are accepted again"
