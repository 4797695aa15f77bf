"""Changes of an existing stack: what an installed cluster could not survive is refused, the rest is said in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster import changes
from cluster.plan import Plan
from tests.cluster.conftest import Change, planned


def outputs(plan: Plan, *, installed: bool = True) -> dict[str, Any]:
    """The stack's outputs as a state hands them back: through JSON, numbers as floats."""
    written = {
        **plan.outputs(),
        "installation": {"installed": installed},
    }
    read: dict[str, Any] = json.loads(json.dumps(written), parse_int=float)
    return read


def machine(name: str, **keys: Any) -> Change:
    return lambda config: config["machines"][name].update(keys)


def pool(name: str, **keys: Any) -> Change:
    return lambda config: config["pools"][name].update(keys)


def cluster(**keys: str) -> Change:
    return lambda config: config["cluster"].update(keys)


def without(name: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        del config["machines"][name]

    return change


def renamed(old: str, new: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        config["machines"][new] = config["machines"].pop(old)

    return change


def five_control_plane_machines(config: dict[str, Any]) -> None:
    for number in (3, 4):
        config["machines"][f"control-plane-{number}"] = {"address": f"192.168.200.3{number}"}


def one_control_plane_machine(config: dict[str, Any]) -> None:
    for number in (1, 2):
        del config["machines"][f"control-plane-{number}"]


def control_plane_becomes_compute(config: dict[str, Any]) -> None:
    config["machines"]["control-plane-1"]["pool"] = "compute"
    config["machines"]["compute-0"]["pool"] = "control-plane"


def moved_network(config: dict[str, Any]) -> None:
    config["network"]["cidr"] = "192.168.200.0/23"


REFUSED: list[tuple[str, Change, dict[str, tuple[str, str]]]] = [
    (
        "added",
        five_control_plane_machines,
        {
            "machines.control-plane-3": ("etcd member", "pool of role compute"),
            "machines.control-plane-4": ("etcd member", "pool of role compute"),
        },
    ),
    (
        "removed",
        one_control_plane_machine,
        {
            "machines.control-plane-1": ("destroyed", "pool control-plane, address 192.168.200.31"),
            "machines.control-plane-2": ("destroyed", "pool control-plane, address 192.168.200.32"),
        },
    ),
    (
        "renamed",
        renamed("control-plane-2", "control-plane-9"),
        {"machines.control-plane-9": ("it was control-plane-2", "name it control-plane-2 again")},
    ),
    (
        "swapped with compute",
        control_plane_becomes_compute,
        {
            "machines.compute-0": ("etcd member", "pool of role compute"),
            "machines.control-plane-1": ("destroyed", "pool control-plane, address 192.168.200.31"),
        },
    ),
    (
        "new address",
        machine("control-plane-0", address="192.168.200.40"),
        {"machines.control-plane-0.address": ("192.168.200.30", "write 192.168.200.30 again")},
    ),
    (
        "new address of a compute machine",
        machine("compute-0", address="192.168.200.99"),
        {"machines.compute-0.address": ("joined the cluster as 192.168.200.20", "declare it with its new address")},
    ),
    (
        "the last compute machines removed",
        lambda config: [config["machines"].pop(name) for name in ("compute-0", "compute-1")],
        {"machines": ("neither ingress nor workloads", "keep at least one machine")},
    ),
    (
        "new root disk",
        machine("control-plane-0", diskGiB=3),
        {"machines.control-plane-0.diskGiB": ("lost", "write 2 again")},
    ),
    (
        "new root disks for the pool",
        pool("control-plane", diskGiB=9),
        {f"machines.control-plane-{number}.diskGiB": ("lost", "or in pool control-plane") for number in range(3)},
    ),
    ("new name", cluster(name="other"), {"cluster.name": ("okd.lab.example", "write okd again")}),
    ("new base domain", cluster(baseDomain="x.y"), {"cluster.baseDomain": ("okd.lab.example", "write lab.example")}),
    (
        "new name and base domain",
        cluster(name="other", baseDomain="x.y"),
        {"cluster.name": ("okd.lab.example", "write okd"), "cluster.baseDomain": ("okd.lab.example", "lab.example")},
    ),
    ("new cluster network", moved_network, {"network.cidr": ("192.168.200.0/24", "write 192.168.200.0/24 again")}),
]
ALLOWED: list[tuple[str, Change]] = [
    ("a compute machine is added", lambda config: config["machines"].update({"compute-2": {"address": "192.168.200.22"}})),
    ("a compute machine is removed", without("compute-1")),
    ("a compute machine is renamed", renamed("compute-1", "compute-7")),
    ("a compute machine gets a new disk and MAC", machine("compute-0", diskGiB=7, mac="52:54:00:00:00:01")),
    ("a control plane machine gets memory, processors and a MAC", machine("control-plane-0", memoryMiB=1024, cpus=2, mac="52:54:00:00:00:01")),
    ("the bootstrap machine gets another disk and address", machine("bootstrap", diskGiB=9, address="192.168.200.11")),
    ("settings of the installation", lambda config: config.update({"install": {"clusterNetwork": "10.64.0.0/14"}})),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_installed_cluster_is_kept_from_what_it_would_not_survive(
    change: Change, expected: dict[str, tuple[str, str]]
) -> None:
    problems = {
        problem.setting: problem for problem in changes.refused(outputs(planned("dev")), planned("dev", change))
    }
    assert problems.keys() == expected.keys()
    for setting, (harm, fix) in expected.items():
        assert harm in problems[setting].harm
        assert fix in problems[setting].fix


@pytest.mark.parametrize("change", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_before_the_installation_nothing_is_refused(change: Change) -> None:
    before, plan = outputs(planned("dev"), installed=False), planned("dev", change)
    assert changes.refused(before, plan) == []
    del before["installation"]
    assert changes.refused(before, plan) == []


@pytest.mark.parametrize("change", [row[1] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_what_an_installed_cluster_survives_is_allowed(change: Change) -> None:
    assert changes.refused(outputs(planned("dev")), planned("dev", change)) == []


def test_a_stack_without_outputs_is_neither_refused_nor_described(dev: Plan) -> None:
    assert changes.refused({}, dev) == []
    assert changes.described({}, dev) == []


def test_outputs_of_an_older_program_refuse_only_what_they_know() -> None:
    before = outputs(planned("dev"))
    del before["clusterNetwork"]
    for row in before["machines"]:
        del row["diskGiB"]
    assert changes.refused(before, planned("dev", pool("control-plane", diskGiB=9))) == []
    assert changes.described(before, planned("dev", pool("control-plane", diskGiB=9))) == []


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
@pytest.mark.parametrize("installed", [True, False])
def test_the_same_settings_change_nothing(stack: str, installed: bool) -> None:
    before = outputs(planned(stack), installed=installed)
    assert changes.refused(before, planned(stack)) == []
    assert changes.described(before, planned(stack)) == []


DESCRIBED: list[tuple[Change, str]] = [
    (machine("compute-1", mac="52:54:00:00:00:01"), "a MAC change rebuilds compute-1 and nothing else"),
    (
        pool("compute", memoryMiB=640),
        "memoryMiB of pool compute: compute-0 then compute-1 are drained and rebuilt, one at a time",
    ),
    (
        pool("compute", memoryMiB=640, cpus=2),
        "cpus and memoryMiB of pool compute: compute-0 then compute-1 are drained and rebuilt, one at a time",
    ),
    (machine("compute-1", memoryMiB=640), "memoryMiB of compute-1: compute-1 is drained and rebuilt"),
    (
        machine("compute-0", diskGiB=3),
        "diskGiB of compute-0: compute-0 is drained and rebuilt; what is on the root disk is lost",
    ),
    (
        machine("compute-0", extraDisksGiB=[1]),
        "extraDisksGiB of compute-0: compute-0 is drained and rebuilt; "
        "what is on an extra disk whose size changes is lost",
    ),
    (without("compute-1"), "compute-1 is drained and leaves the cluster, then its domain and volumes are destroyed"),
    (
        lambda config: config["machines"].update({"compute-2": {"address": "192.168.200.22"}}),
        "compute-2 (compute, 192.168.200.22) is made and joins the cluster",
    ),
    (
        machine("compute-0", address="192.168.200.99"),
        "compute-0 moves from 192.168.200.20 to 192.168.200.99: its lease, records and back ends with it",
    ),
    (machine("compute-0", pool="infra", cpus=1, memoryMiB=512, diskGiB=2), "compute-0 moves from pool compute to pool infra"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "line"), DESCRIBED, ids=[line for _, line in DESCRIBED])
def test_a_change_is_said_in_words_and_nothing_else_is(change: Change, line: str) -> None:
    assert changes.described(outputs(planned("dev")), planned("dev", change)) == [line]


def test_before_the_installation_nothing_is_drained() -> None:
    before = outputs(planned("dev"), installed=False)
    bigger, fewer = planned("dev", pool("compute", memoryMiB=640)), planned("dev", without("compute-1"))
    assert changes.described(before, bigger) == ["memoryMiB of pool compute: compute-0 then compute-1 are rebuilt"]
    assert changes.described(before, fewer) == ["compute-1: its domain and volumes are destroyed"]


def test_the_bootstrap_of_an_installed_cluster_is_not_made_again() -> None:
    change = machine("bootstrap", memoryMiB=1024)
    assert changes.described(outputs(planned("dev")), planned("dev", change)) == []
    assert changes.described(outputs(planned("dev"), installed=False), planned("dev", change)) == [
        "memoryMiB of bootstrap: bootstrap is rebuilt"
    ]


def test_a_bootstrap_that_is_gone_is_not_described_as_new(dev: Plan) -> None:
    before = outputs(dev)
    before["machines"] = [row for row in before["machines"] if row["role"] != "bootstrap"]
    assert changes.described(before, dev) == []
    assert changes.refused(before, dev) == []


def test_machines_are_described_in_their_numbers_order() -> None:
    def twelve(config: dict[str, Any]) -> None:
        config["machines"] |= {
            f"compute-{number}": {"address": f"192.168.200.{60 + number}"} for number in range(2, 12)
        }

    removed = changes.described(outputs(planned("dev", twelve)), planned("dev"))
    assert [line.split()[0] for line in removed] == [f"compute-{number}" for number in range(2, 12)]
