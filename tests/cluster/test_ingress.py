"""Where the ingress runs: its pool, the manifest, the load balancer's rows, and what becomes of it on a cluster that stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import changes, ingress, installation, load_balancer, manifests
from cluster.before import Before
from cluster.plan import Plan
from cluster.settings import SettingsError
from tests.cluster.conftest import planned
from tests.cluster.mistakes import Edit, both, drop, put

TAINT = {"key": "node-role.kubernetes.io/infra", "effect": "NoSchedule"}
VALUED = {"key": "example.com/dedicated", "value": "routers", "effect": "NoExecute"}
KEEP = put("install.ingress.pool", "compute")


def without(pool: str) -> Edit:
    return both(*(drop(f"machines.{pool}-{number}") for number in range(3)))


def standing(stack: str, edit: Edit, **installed: Any) -> Plan:
    """The plan for a cluster that is installed, as its last outputs tell."""
    fresh = planned(stack, edit)
    first = planned(stack)
    told = {"installed": True, "machines": [row.output() for row in first.members], **installed}
    outputs = {"bootstrap": {"state": "complete"}, "installation": told}
    return Plan.of(fresh.settings, Before.of(outputs))


def placement(plan: Plan) -> Any:
    return manifests.ingress(plan)["spec"].get("nodePlacement")


CHOICES: dict[str, tuple[str, Edit, str, Any]] = {
    "the infra pool where there is one": ("hard-way", lambda config: None, "infra", "node-role.kubernetes.io/infra"),
    "else compute": ("hard-way", without("infra"), "compute", None),
    "else all compute machines": ("hard-way", both(without("infra"), without("compute")), "", None),
    "what the settings say": ("hard-way", put("install.ingress.pool", "storage"), "storage", "node-role.kubernetes.io/storage"),
    "compute by name": ("hard-way", KEEP, "compute", None),
    "the control plane where nothing else is": (
        "dev",
        both(drop("machines.compute-0"), drop("machines.compute-1")),
        "control-plane",
        None,
    ),
    "the control plane by name": (
        "hard-way",
        put("install.ingress.pool", "control-plane"),
        "control-plane",
        "node-role.kubernetes.io/master",
    ),
}  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES)
def test_the_ingress_runs_where_its_pool_says(choice: str) -> None:
    stack, edit, pool, label = CHOICES[choice]
    plan = planned(stack, edit)
    assert ingress.of(plan).pool == pool
    found = placement(plan)
    assert (found["nodeSelector"]["matchLabels"] if found else None) == ({label: ""} if label else None)
    active = [server.name for row in load_balancer.concerns(plan) if row.port == 443 for server in row.servers if not server.backup]  # fmt: skip
    assert active == [machine.name for machine in ingress.of(plan).machines]
    assert manifests.ingress(plan)["spec"]["replicas"] == min(2, len(active))


def test_routers_tolerate_the_taints_of_their_pool() -> None:
    plan = planned("hard-way", put("pools.infra.taints", [TAINT, VALUED]))
    assert placement(plan)["tolerations"] == [
        {"key": VALUED["key"], "operator": "Equal", "value": "routers", "effect": "NoExecute"},
        {"key": TAINT["key"], "operator": "Exists", "effect": "NoSchedule"},
    ]


def test_the_placement_needs_no_certificate_of_the_stacks() -> None:
    plan = planned("hard-way", put("install.ingressCertificate", False))
    assert manifests.built_in(plan)[manifests.INGRESS_FILE]["spec"].keys() == {"replicas", "nodePlacement"}
    plan = planned("hard-way", both(put("install.ingressCertificate", False), KEEP))
    assert manifests.INGRESS_FILE not in manifests.built_in(plan)


def test_an_ingress_of_the_users_own_takes_the_place_of_the_default(tmp_path: Path) -> None:
    own = {"apiVersion": "operator.openshift.io/v1", "kind": "IngressController"}
    own |= {"metadata": {"name": "default", "namespace": "openshift-ingress-operator"}, "spec": {"replicas": 3}}
    (tmp_path / "ingress.yaml").write_text(yaml.safe_dump(own))
    edit = both(put("install.ingressCertificate", False), put("install.manifests", str(tmp_path)))
    assert manifests.INGRESS_FILE not in manifests.built_in(planned("hard-way", edit))
    with pytest.raises(SettingsError, match=r"leave install\.ingress\.pool out, or remove it"):
        planned("hard-way", both(edit, KEEP))


REFUSED: dict[str, tuple[Edit, str]] = {
    "unknown": (put("install.ingress.pool", "infar"), "did you mean infra"),
    "without machines": (both(without("infra"), put("install.ingress.pool", "infra")), "no machine is in this pool"),
    "the bootstrap's": (put("install.ingress.pool", "bootstrap"), "no nodes of the cluster"),
    "not text": (put("install.ingress.pool", 5), "text belongs here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_pool_that_cannot_have_the_ingress_is_refused(case: str) -> None:
    edit, words = REFUSED[case]
    with pytest.raises(SettingsError) as error:
        planned("hard-way", edit)
    assert [problem.setting for problem in error.value.problems] == ["install.ingress.pool"]
    assert words in str(error.value)


def test_a_cluster_that_stands_keeps_its_ingress_whatever_the_default_would_be() -> None:
    """One that an older program installed does not say where it is: all compute machines, as it was."""
    for told, pool in (
        ({}, ""),
        ({"ingress": ""}, ""),
        ({"ingress": "compute"}, "compute"),
        ({"ingress": "infra"}, "infra"),
    ):
        plan = standing("hard-way", lambda config: None, **told)
        assert ingress.of(plan).pool == pool
        assert "ingress" not in installation.completion(plan, {})
    servers = {row.port: row.servers for row in load_balancer.concerns(standing("hard-way", lambda config: None))}[443]
    assert [server.backup for server in servers] == [False] * 9


def test_what_an_update_has_brought_about_is_what_the_next_one_plans() -> None:
    first = planned("hard-way")
    second = standing("hard-way", lambda config: None, ingress=ingress.of(first).pool)
    assert manifests.ingress(first) == manifests.ingress(second)
    assert load_balancer.concerns(first)[2:] == load_balancer.concerns(second)[2:]
    assert installation.completion(first, {}) == installation.completion(second, {})


def test_a_compact_cluster_that_gets_compute_machines_is_reached_where_its_routers_are() -> None:
    plan = standing("dev", lambda config: None, ingress="control-plane")
    servers = {row.port: row.servers for row in load_balancer.concerns(plan)}[443]
    assert [(server.name, server.backup) for server in servers] == [
        *((f"control-plane-{number}", False) for number in range(3)),
        *((f"compute-{number}", True) for number in range(2)),
    ]


def test_a_running_ingress_moves_by_the_operators_word_alone_and_is_reached_meanwhile() -> None:
    plan = standing("hard-way", put("install.ingress.pool", "infra"), ingress="compute")
    assert installation.completion(plan, {})["ingress"] == {
        "pool": "infra",
        "nodePlacement": {"nodeSelector": {"matchLabels": {"node-role.kubernetes.io/infra": ""}}},
        "replicas": 2,
    }
    servers = {row.port: row.servers for row in load_balancer.concerns(plan)}[443]
    assert {server.name for server in servers if server.backup} >= {"compute-0", "compute-1", "compute-2"}


GONE: dict[str, tuple[Edit, str | None]] = {
    "all at once": (without("infra"), "do it in two updates"),
    "all at once, and moved": (both(without("infra"), KEEP), "do it in two updates"),
    "into another pool": (
        both(*(put(f"machines.infra-{n}.pool", "storage") for n in range(3))),
        "say where it shall run",
    ),
    "one of them": (drop("machines.infra-0"), None),
    "moved": (KEEP, None),
}


@pytest.mark.parametrize("case", GONE)
def test_the_last_machine_that_the_ingress_runs_on_does_not_go_before_it_runs_elsewhere(case: str) -> None:
    edit, words = GONE[case]
    plan = standing("hard-way", edit, ingress="infra")
    found = [problem for problem in changes.refused(plan) if problem.setting == "install.ingress.pool"]
    assert len(found) == (words is not None)
    assert words is None or words in found[0].fix
