"""Records and zones."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import dns
from cluster.plan import Plan
from tests.cluster.conftest import planned


def test_every_machine_and_every_name_of_the_services_host_has_a_and_ptr(hard_way: Plan) -> None:
    forward = {(record.name, record.value) for record in dns.forward_records(hard_way)}
    reverse = {(record.name, record.value) for record in dns.reverse_records(hard_way)}
    services = {f"{name}.okd.example.com": IPv4Address("192.168.200.254") for name in ("api", "api-int", "services")}
    for name, address in {machine.fqdn: machine.address for machine in hard_way.machines}.items() | services.items():
        assert (name, str(address)) in forward
        assert (address.reverse_pointer, name) in reverse
    assert len(reverse) == len(hard_way.machines) + 3


def test_the_wildcard_has_no_ptr_and_lies_under_apps_only(hard_way: Plan) -> None:
    wildcards = [record for record in dns.forward_records(hard_way) if "*" in record.name]
    assert [(record.name, record.value) for record in wildcards] == [("*.apps.okd.example.com", "192.168.200.254")]


def test_no_etcd_records(hard_way: Plan) -> None:
    assert not [record for record in dns.records(hard_way) if "etcd" in record.name]


def test_a_client_asks_for_a_name_under_the_wildcard(hard_way: Plan) -> None:
    asked = dns.Record("console-openshift-console.apps.okd.example.com", "A", "192.168.200.254")
    assert asked in dns.records(hard_way)


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("192.168.200.0/24", ["200.168.192.in-addr.arpa"]),
        ("192.168.200.128/25", ["200.168.192.in-addr.arpa"]),
        ("192.168.200.0/23", ["200.168.192.in-addr.arpa", "201.168.192.in-addr.arpa"]),
        ("172.20.0.0/16", ["20.172.in-addr.arpa"]),
    ],
)
def test_reverse_zones_end_at_label_boundaries(network: str, names: list[str]) -> None:
    assert list(dns.reverse_zone_names(IPv4Network(network))) == names


@given(st.integers(16, 30), st.integers(0, 2**32 - 1), st.data())
def test_every_address_is_in_exactly_one_reverse_zone(prefix: int, base: int, data: st.DataObject) -> None:
    network = IPv4Network((base, prefix), strict=False)
    address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    zones = dns.reverse_zone_names(network)
    assert sum(address.reverse_pointer.endswith(f".{zone}") for zone in zones) == 1


def serials(plan: Plan) -> dict[str, str]:
    texts = {zone.name: dns.zone_text(plan, zone) for zone in dns.zones(plan)}
    found = {name: re.search(r" SOA \S+ \S+ (\d+) ", text) for name, text in texts.items()}
    return {name: match.group(1) for name, match in found.items() if match}


def test_a_serial_changes_exactly_when_its_zone_does() -> None:
    def wider(config: dict[str, Any]) -> None:
        config["network"]["cidr"] = "192.168.200.0/23"

    def one_more(config: dict[str, Any]) -> None:
        wider(config)
        config["machines"]["compute-9"] = {"address": "192.168.201.9"}

    before, again, after = (serials(planned("dev", edit)) for edit in (wider, wider, one_more))
    assert before == again
    assert {name for name in before if before[name] != after[name]} == {"okd.lab.example", "201.168.192.in-addr.arpa"}
    assert all(0 < int(serial) < 2**32 for serial in before.values())


def named_conf(plan: Plan) -> str:
    bundle = next(bundle for bundle in plan.bundles if bundle.service == "dns")
    return str(bundle.files[0].text)


def test_without_resolvers_nothing_outside_is_looked_up(dev: Plan) -> None:
    assert "recursion no;" in named_conf(dev)
    assert "forwarders" not in named_conf(dev)


def test_with_resolvers_only_the_host_itself_may_look_outside(hard_way: Plan) -> None:
    text = named_conf(hard_way)
    assert "forwarders { 10.20.0.2; 10.20.0.3; };" in text
    assert "allow-recursion { localhost; };" in text
    assert "allow-query { localhost; 192.168.200.0/24; };" in text


def test_the_option_that_bind_dropped_is_never_written(hard_way: Plan) -> None:
    assert "dnssec-enable" not in named_conf(hard_way)
