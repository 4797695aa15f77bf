"""The table of machines and what follows from it for the whole site."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.machines import natural
from cluster.plan import Plan
from tests.cluster.conftest import planned


def test_the_seeds_topology(hard_way: Plan) -> None:
    assert [machine.name for machine in hard_way.machines] == [
        "bootstrap",
        *(f"{pool}-{n}" for pool in ("control-plane", "compute", "infra", "storage") for n in range(3)),
    ]
    assert {machine.role for machine in hard_way.machines[4:]} == {"compute"}
    first = hard_way.of_role("control-plane")[0]
    assert (first.mac, str(first.address)) == ("f8:75:a4:ac:03:00", "192.168.200.30")
    assert first.fqdn == "control-plane-0.okd.example.com"
    assert hard_way.services_fqdn == "services.okd.example.com"
    assert str(hard_way.services_address) == "192.168.200.254"
    assert str(hard_way.probe_address) == "192.168.200.253"
    assert hard_way.router == hard_way.services_address
    assert hard_way.api_url == "https://api.okd.example.com:6443"
    assert hard_way.registry_url == "https://services.okd.example.com:5000"


def test_a_machine_overrides_its_pool() -> None:
    def edit(config: dict[str, Any]) -> None:
        config["machines"]["storage-0"] |= {"memoryMiB": 32768, "extraDisksGiB": []}

    machines = {machine.name: machine for machine in planned("hard-way", edit).machines}
    assert (machines["storage-0"].memory_mib, machines["storage-0"].extra_disks_gib) == (32768, ())
    assert (machines["storage-1"].memory_mib, machines["storage-1"].extra_disks_gib) == (16384, (500, 500))
    assert machines["storage-0"].disk_gib == 120


def test_removing_a_machine_touches_no_other() -> None:
    before = {machine.name: machine for machine in planned("dev").machines}
    after = {
        machine.name: machine for machine in planned("dev", lambda config: config["machines"].pop("compute-0")).machines
    }
    assert set(before) - set(after) == {"compute-0"}
    assert all(before[name] == machine for name, machine in after.items())


def test_the_order_is_by_number() -> None:
    assert sorted(["c-10", "c-2", "b-11", "c-1"], key=natural) == ["b-11", "c-1", "c-2", "c-10"]


def test_ignition_configs_have_openshifts_names(hard_way: Plan) -> None:
    by_role = {machine.role: machine.ignition for machine in hard_way.machines}
    assert by_role == {"bootstrap": "bootstrap.ign", "control-plane": "master.ign", "compute": "worker.ign"}


@given(st.integers(18, 28), st.data())
def test_the_probe_address_is_inside_and_free(prefix: int, data: st.DataObject) -> None:
    size = 2 ** (32 - prefix)
    hosts = data.draw(st.lists(st.integers(1, size - 3), min_size=2, max_size=10, unique=True))
    base = IPv4Address("10.1.0.0")

    def edit(config: dict[str, Any]) -> None:
        config["network"]["cidr"] = f"{base}/{prefix}"
        del config["services"]["address"]
        config["checks"] = {"minimumSizes": "ignore"}
        names = ["bootstrap", "control-plane-0", *(f"compute-{n}" for n in range(8))]
        config["machines"] = {name: {"address": str(base + host)} for name, host in zip(names, hosts, strict=False)}

    plan = planned("hard-way", edit)
    used = {plan.services_address, *(machine.address for machine in plan.machines)}
    assert plan.probe_address in plan.network
    assert plan.probe_address not in used | {plan.network.network_address, plan.network.broadcast_address}
    macs = [machine.mac for machine in plan.machines]
    assert len(set(macs)) == len(macs)


def test_machines_as_an_output_are_plain_values(dev: Plan) -> None:
    assert dev.outputs()["machines"][0] == {
        "name": "bootstrap",
        "role": "bootstrap",
        "pool": "bootstrap",
        "mac": dev.machines[0].mac,
        "address": "192.168.200.10",
        "fqdn": "bootstrap.okd.lab.example",
        "cpus": 1,
        "memoryMiB": 512,
        "diskGiB": 2,
        "extraDisksGiB": [],
    }
