"""What nodes are given by their pool: the role, labels and taints; and which of these are refused."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import installation, nodes
from cluster.plan import Plan
from cluster.settings import SettingsError
from tests.cluster.conftest import planned
from tests.cluster.mistakes import Edit, both, put

ROLE = "node-role.kubernetes.io/"
TAINT = {"key": "example.com/dedicated", "value": "x", "effect": "NoSchedule"}


def given(plan: Plan, name: str) -> dict[str, Any]:
    machine = next(machine for machine in plan.machines if machine.name == name)
    found: dict[str, Any] = installation.membership(plan, machine, "uuid").get("node", {})
    return found


def test_machines_of_other_pools_get_their_pools_role_and_nobody_else_does(hard_way: Plan) -> None:
    for name in ("infra", "storage"):
        assert given(hard_way, f"{name}-0") == {"labels": {f"{ROLE}{name}": ""}, "taints": [], "pool": name}
    assert given(hard_way, "compute-0") == given(hard_way, "control-plane-0") == {}


def test_every_pool_with_a_machine_config_pool_is_waited_for_by_its_name(hard_way: Plan) -> None:
    pools = {nodes.role(machine) for machine in hard_way.of_role("compute")} - {""}
    assert {nodes.given(hard_way, machine)["pool"] for machine in hard_way.machines if nodes.role(machine)} == pools
    plan = planned("hard-way", put("install.machineConfigPools", False))
    assert given(plan, "infra-0") == {"labels": {f"{ROLE}infra": ""}, "taints": [], "pool": ""}


def test_labels_and_taints_of_a_pool_are_given_to_each_of_its_machines_in_one_order() -> None:
    labels, taint = {"z.example.com/a": "", "tier": "Web_1.x"}, {"key": f"{ROLE}infra", "effect": "NoExecute"}
    edit = both(put("pools.compute.labels", labels), put("pools.compute.taints", [taint, TAINT]))
    plan = planned("hard-way", edit)
    for name in ("compute-0", "compute-2"):
        found = given(plan, name)
        assert list(found["labels"].items()) == [("tier", "Web_1.x"), ("z.example.com/a", "")]
        assert found["taints"] == [TAINT, taint]
        assert found["pool"] == ""
    assert given(planned("hard-way", put("pools.control-plane.labels", {"zone": "a"})), "control-plane-1") == {
        "labels": {"zone": "a"},
        "taints": [],
        "pool": "",
    }


def label(key: Any, value: Any = "") -> Edit:
    return put("pools.infra.labels", {key: value})


def taint(**other: Any) -> Edit:
    return put("pools.infra.taints", [{**TAINT, **other}])


WRONG: dict[str, tuple[Edit, str, str]] = {
    "label key": (label("a b"), "pools.infra.labels.a b", "not the key of a label"),
    "empty key": (label(""), "pools.infra.labels.", "not the key of a label"),
    "long key": (label("a" * 64), f"pools.infra.labels.{'a' * 64}", "at most 63"),
    "two slashes": (label("a/b/c"), "pools.infra.labels.a/b/c", "not the key of a label"),
    "capital in the domain": (label("Example.com/a"), "pools.infra.labels.Example.com/a", "a DNS domain"),
    "long domain": (label(f"{'a.' * 130}com/x"), f"pools.infra.labels.{'a.' * 130}com/x", "not the key"),
    "number": (label("tier", 1), "pools.infra.labels.tier", "put it in quotes"),
    "truth": (label("tier", True), "pools.infra.labels.tier", "put it in quotes"),
    "value": (label("tier", "-a"), "pools.infra.labels.tier", "not the value of a label"),
    "long value": (label("tier", "a" * 64), "pools.infra.labels.tier", "at most 63"),
    "another role": (label(f"{ROLE}storage"), f"pools.infra.labels.{ROLE}storage", "its pool's name"),
    "host name": (label("kubernetes.io/hostname", "x"), "pools.infra.labels.kubernetes.io/hostname", "the kubelet"),
    "operating system": (
        label("node.openshift.io/os_id", "x"),
        "pools.infra.labels.node.openshift.io/os_id",
        "kubelet",
    ),
    "machine config": (
        label("machineconfiguration.openshift.io/role", "x"),
        "pools.infra.labels.machineconfiguration.openshift.io/role",
        "an operator",
    ),
    "our own": (label("okd-libvirt/x"), "pools.infra.labels.okd-libvirt/x", "an operator"),
    "no mapping": (put("pools.infra.labels", ["tier=web"]), "pools.infra.labels", "a mapping of settings"),
    "taint's key": (taint(key="a b"), "pools.infra.taints[0].key", "not the key of a taint"),
    "taint's effect": (taint(effect="noschedule"), "pools.infra.taints[0].effect", "did you mean NoSchedule"),
    "taint's value": (taint(value="a b"), "pools.infra.taints[0].value", "not the value of a label or taint"),
    "taint without effect": (put("pools.infra.taints", [{"key": "a"}]), "pools.infra.taints[0].effect", "add "),
    "taint as text": (put("pools.infra.taints", ["a=b:NoSchedule"]), "pools.infra.taints[0]", "a mapping of settings"),
    "the control plane's": (taint(key=f"{ROLE}master"), "pools.infra.taints[0].key", "controllers and operators"),
    "the node controller's": (taint(key="node.kubernetes.io/not-ready"), "pools.infra.taints[0].key", "controllers"),
    "the drain's": (taint(key="UpdateInProgress"), "pools.infra.taints[0].key", "controllers and operators"),
    "twice": (put("pools.infra.taints", [TAINT, {**TAINT, "value": "y"}]), "pools.infra.taints", "keep one of them"),
    "of the control plane": (
        put("pools.control-plane.taints", [TAINT]),
        "pools.control-plane.taints",
        "leave them out",
    ),
    "of the bootstrap": (put("pools.bootstrap.labels", {"a": "b"}), "pools.bootstrap.labels", "is no node"),
    "everywhere": (
        both(*(put(f"pools.{name}.taints", [TAINT]) for name in ("compute", "infra", "storage"))),
        "pools.compute.taints",
        "monitoring would have no place",
    ),
    "a role of the control plane": (
        both(
            put("install.machineConfigPools", False), put("pools.master", {}), put("machines.compute-0.pool", "master")
        ),
        "pools.master",
        "taken for it",
    ),
    "no role at all": (
        both(put("install.machineConfigPools", False), put("pools.a b", {}), put("machines.compute-0.pool", "a b")),
        "pools.a b",
        "a label of that name",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_kubernetes_or_an_operator_would_refuse_is_refused_by_name(case: str) -> None:
    edit, setting, words = WRONG[case]
    with pytest.raises(SettingsError) as error:
        planned("hard-way", edit)
    assert [problem.setting for problem in error.value.problems] == [setting]
    assert words in str(error.value)


RIGHT: dict[str, Edit] = {
    "zone": label("topology.kubernetes.io/zone", "a"),
    "longest": label(f"{'a' * 63}.example.com/{'B' * 63}", "c" * 63),
    "egress": label("k8s.ovn.org/egress-assignable"),
    "prefers": both(*(put(f"pools.{name}.taints", [{**TAINT, "effect": "PreferNoSchedule"}]) for name in ("compute", "infra", "storage"))),
    "one key, two effects": put("pools.infra.taints", [TAINT, {**TAINT, "effect": "NoExecute"}]),
    "tainted but for one": both(*(put(f"pools.{name}.taints", [TAINT]) for name in ("infra", "storage"))),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_what_administrators_give_nodes_is_taken(case: str) -> None:
    planned("hard-way", RIGHT[case])
