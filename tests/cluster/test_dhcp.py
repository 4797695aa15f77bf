"""Leases: reservations only, every option, boot files by kind of client."""

from __future__ import annotations

from typing import Any

from cluster import dhcp
from cluster.plan import Plan
from tests.cluster.conftest import planned


def subnet(plan: Plan) -> dict[str, Any]:
    (found,) = dhcp.configuration(plan)["Dhcp4"]["subnet4"]
    return dict(found)


def test_one_reservation_a_machine_and_no_pool(hard_way: Plan) -> None:
    found = subnet(hard_way)
    assert "pools" not in found
    assert {(row["hw-address"], row["ip-address"]) for row in found["reservations"]} == {
        (machine.mac, str(machine.address)) for machine in hard_way.machines
    }
    assert dhcp.configuration(hard_way)["Dhcp4"]["host-reservation-identifiers"] == ["hw-address"]


def test_host_names_are_full_names_and_sent_unasked(hard_way: Plan) -> None:
    for row, machine in zip(subnet(hard_way)["reservations"], hard_way.machines, strict=True):
        assert row["hostname"] == machine.fqdn
        assert row["option-data"] == [{"name": "host-name", "data": machine.fqdn, "always-send": True}]


def test_shared_options(hard_way: Plan) -> None:
    assert dhcp.options(hard_way) == {
        "routers": "192.168.200.254",
        "domain-name-servers": "192.168.200.254",
        "ntp-servers": "192.168.200.254",
        "domain-name": "okd.example.com",
        "domain-search": "okd.example.com",
    }


def test_the_search_domain_has_no_wildcard_right_under_it(hard_way: Plan) -> None:
    from cluster import dns

    search = dhcp.options(hard_way)["domain-search"]
    assert f"*.{search}" not in {record.name for record in dns.forward_records(hard_way)}


def test_an_mtu_other_than_ethernets_is_announced() -> None:
    def edit(config: dict[str, Any]) -> None:
        config["network"]["mtu"] = 9000

    assert dhcp.options(planned("hard-way", edit))["interface-mtu"] == "9000"


def test_ipxe_gets_a_script_over_http_and_all_others_pxelinux(hard_way: Plan) -> None:
    server = dhcp.configuration(hard_way)["Dhcp4"]
    assert subnet(hard_way)["boot-file-name"] == "lpxelinux.0"
    assert subnet(hard_way)["next-server"] == "192.168.200.254"
    (ipxe,) = server["client-classes"]
    assert ipxe["boot-file-name"] == "http://192.168.200.254:8080/boot/boot.ipxe"
    assert "option[77]" in ipxe["test"]


def test_leases_last_and_client_ids_do_not_split_a_machine(hard_way: Plan) -> None:
    server = dhcp.configuration(hard_way)["Dhcp4"]
    assert server["valid-lifetime"] >= 12 * 3600
    assert server["match-client-id"] is False
