"""Who stands behind which port."""

from __future__ import annotations

from typing import Any

from cluster import firewall, load_balancer
from cluster.plan import Plan
from tests.cluster.conftest import planned


def rows(plan: Plan) -> dict[int, load_balancer.Concern]:
    return {row.port: row for row in load_balancer.concerns(plan)}


def test_the_api_is_behind_the_control_plane_with_bootstrap_as_backup(hard_way: Plan) -> None:
    for port in (6443, 22623):
        servers = rows(hard_way)[port].servers
        assert [(server.name, server.backup) for server in servers] == [
            ("control-plane-0", False),
            ("control-plane-1", False),
            ("control-plane-2", False),
            ("bootstrap", True),
        ]


def test_the_api_is_checked_by_readyz(hard_way: Plan) -> None:
    api = rows(hard_way)[6443]
    assert "httpchk GET /readyz HTTP/1.0" in api.options
    assert api.check == "check check-ssl verify none inter 10s fastinter 2s downinter 5s fall 2 rise 3"


def test_ingress_goes_to_its_pool_and_to_the_others_only_while_no_router_is_there(hard_way: Plan) -> None:
    pools = {machine.name: machine.pool for machine in hard_way.of_role("compute")}
    for port in (443, 80):
        ingress = rows(hard_way)[port]
        assert ingress.balance == "source"
        assert ingress.options == ("allbackups",)
        assert {server.name: server.backup for server in ingress.servers} == {
            name: pool != "infra" for name, pool in pools.items()
        }


def test_ingress_goes_to_all_compute_machines_where_they_are_one_pool(dev: Plan) -> None:
    for port in (443, 80):
        ingress = rows(dev)[port]
        assert ingress.options == ()
        assert [(server.name, server.backup) for server in ingress.servers] == [
            ("compute-0", False),
            ("compute-1", False),
        ]


def test_without_compute_ingress_goes_to_the_control_plane() -> None:
    def edit(config: dict[str, Any]) -> None:
        del config["machines"]["compute-0"], config["machines"]["compute-1"]

    compact = rows(planned("dev", edit))[443]
    assert [server.name for server in compact.servers] == ["control-plane-0", "control-plane-1", "control-plane-2"]


def test_back_ends_are_addresses(hard_way: Plan) -> None:
    known = {str(machine.address) for machine in hard_way.machines}
    assert all(server.address in known for row in rows(hard_way).values() for server in row.servers)


def test_only_what_is_exposed_listens_on_the_uplink(dev: Plan) -> None:
    assert load_balancer.addresses(dev, 6443) == ("192.168.200.254", "192.168.125.10")
    assert load_balancer.addresses(dev, 443) == ("192.168.200.254",)
    assert [port.number for port in firewall.uplink_ports(dev)] == [22, 6443]


def test_ssh_is_closed_on_the_cluster_network() -> None:
    assert 22 not in {port.number for port in firewall.CLUSTER_PORTS}


def test_the_firewall_opens_what_the_design_lists() -> None:
    ports = {(port.number, port.protocol) for port in firewall.CLUSTER_PORTS}
    udp = {(port, "udp") for port in (53, 67, 69, 123)}
    tcp = {(port, "tcp") for port in (53, 80, 443, 5000, 6443, 8080, 9000, 22623)}
    assert ports == udp | tcp


def test_a_reload_ends_no_connection(hard_way: Plan) -> None:
    bundle = next(bundle for bundle in hard_way.bundles if bundle.service == "load-balancer")
    text = str(bundle.files[0].text)
    assert "expose-fd listeners" in text
    assert "hard-stop-after" not in text
    assert bundle.restart_on == ()


def with_compute(count: int) -> Plan:
    def edit(config: dict[str, Any]) -> None:
        machines = {name: one for name, one in config["machines"].items() if not name.startswith("compute-")}
        config["machines"] = machines | {
            f"compute-{one}": {"address": f"192.168.200.{60 + one}"} for one in range(count)
        }

    return planned("hard-way", edit)


def test_connections_follow_the_number_of_machines() -> None:
    few, many = (load_balancer.concerns(with_compute(count)) for count in (2, 102))
    for before, after in zip(few, many, strict=True):
        assert after.connections - before.connections >= 100 * 20
    assert load_balancer.open_files(many) > 2 * load_balancer.connections(many)


def test_a_full_ingress_leaves_the_api_its_connections(hard_way: Plan) -> None:
    bundle = next(bundle for bundle in hard_way.bundles if bundle.service == "load-balancer")
    lines = [line.split()[-1] for line in str(bundle.files[0].text).splitlines() if "maxconn" in line]
    total, *ports = map(int, lines)
    assert len(ports) == len(load_balancer.concerns(hard_way)) + 1
    assert total == sum(ports)


def test_one_machine_more_seldom_changes_the_unit(hard_way: Plan) -> None:
    limits = {load_balancer.open_files(load_balancer.concerns(with_compute(count))) for count in range(0, 150, 10)}
    assert len(limits) <= 3
    (drop_in,) = next(bundle for bundle in hard_way.bundles if bundle.service == "load-balancer").unit_files
    assert f"LimitNOFILE={load_balancer.open_files(load_balancer.concerns(hard_way))}\n" in str(drop_in.text)
