"""A Node gets its pool's role, labels and taints, keeps what others gave it, and is counted by its pool."""

from __future__ import annotations

from typing import Any

import pytest

from tests.installation.fake_api import NODES
from tests.installation.test_join import FQDN, NODE, UUID, World, meanwhile, world

__all__ = ["world"]
ROLE = "node-role.kubernetes.io/infra"
POOL = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools/infra"
MARK = "okd-libvirt/given"
TAINT = {"key": ROLE, "effect": "NoSchedule"}


def given(world: World, *, pool: str = "", **labels: str) -> None:
    """The document asks for the role and these labels."""
    world.document["node"] = {"labels": {ROLE: "", **labels}, "taints": [TAINT], "pool": pool}


def labels(world: World) -> dict[str, str]:
    found: dict[str, str] = world.api.get(NODE)["metadata"]["labels"]
    return found


def taints(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.api.get(NODE)["spec"].get("taints") or []
    return found


def test_a_machine_of_another_pool_gets_its_role_before_it_is_ready(world: World) -> None:
    world.document["limitMinutes"] = 10
    given(world, tier="routers")
    world.api.node("compute-0", uuid=UUID, ready=False)

    def ready() -> None:
        assert ROLE in labels(world)
        world.api.node("compute-0", uuid=UUID)

    with meanwhile(ready, pause=0.5):
        world.joins()
    assert labels(world) == {"node-role.kubernetes.io/worker": "", ROLE: "", "tier": "routers"}
    assert taints(world) == [TAINT]


def test_what_is_right_already_is_not_written_again(world: World) -> None:
    given(world)
    world.api.node("compute-0", uuid=UUID)
    world.joins()
    world.api.asked.clear()
    world.joins()
    assert {method for method, _ in world.api.asked} == {"GET"}
    assert [path for _, path in world.api.asked if path.startswith(NODES)] == [NODE]


def test_what_somebody_took_away_is_given_again(world: World) -> None:
    given(world, tier="routers")
    world.api.node("compute-0", uuid=UUID)
    world.joins()
    with world.api.change(NODE) as node:
        node["metadata"]["labels"] |= {"tier": "other"}
        del node["metadata"]["labels"][ROLE]
        node["spec"]["taints"] = []
    world.joins()
    assert labels(world) == {"node-role.kubernetes.io/worker": "", ROLE: "", "tier": "routers"}
    assert taints(world) == [TAINT]


def test_only_what_was_given_here_goes_with_the_settings(world: World) -> None:
    given(world, tier="routers")
    world.api.node("compute-0", uuid=UUID)
    world.joins()
    foreign = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    with world.api.change(NODE) as node:
        node["metadata"]["labels"]["theirs"] = "yes"
        node["spec"]["taints"].append(foreign)
    del world.document["node"]
    world.joins()
    assert labels(world) == {"node-role.kubernetes.io/worker": "", "theirs": "yes"}
    assert taints(world) == [foreign]
    assert MARK not in world.api.get(NODE)["metadata"]["annotations"]


def test_a_node_that_is_to_have_nothing_is_left_alone(world: World) -> None:
    world.api.node("compute-0", uuid=UUID)
    with world.api.change(NODE) as node:
        node["metadata"]["labels"] |= {ROLE: "", "theirs": "yes"}
        node["metadata"]["annotations"][MARK] = "no JSON of ours"
    world.document["node"] = {"labels": {"tier": "x"}, "taints": [], "pool": ""}
    world.joins()
    assert labels(world) == {"node-role.kubernetes.io/worker": "", ROLE: "", "theirs": "yes", "tier": "x"}


def test_the_pool_is_waited_for_until_it_counts_every_machine_of_its_role(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.document["limitMinutes"] = 10
    given(world, pool="infra")
    world.api.node("compute-0", uuid=UUID)
    world.api.node("compute-1")
    with world.api.change(NODE.replace("compute-0", "compute-1")) as other:
        other["metadata"]["labels"][ROLE] = ""
    world.api.add(POOL, status={"machineCount": 1})
    with meanwhile(lambda: world.api.add(POOL, status={"machineCount": 2}), pause=0.3):
        world.joins()
    assert "MachineConfigPool infra counts 2 of 2 machines" in capsys.readouterr().out


def test_a_pool_that_does_not_count_its_machine_is_named(world: World) -> None:
    given(world, pool="infra")
    world.api.node("compute-0", uuid=UUID)
    world.api.add(POOL, status={})
    with pytest.raises(world.agent.failed, match=r"compute-0 did not get past: role.*infra counts 0 of 1") as failure:
        world.joins()
    assert "oc describe machineconfigpool" in failure.value.remedy  # type: ignore[attr-defined]


def test_a_cluster_without_such_a_pool_is_said_and_waited_for_by_nobody(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    given(world, pool="infra")
    world.api.node("compute-0", uuid=UUID)
    world.joins()
    assert "no MachineConfigPool infra" in capsys.readouterr().out


@pytest.mark.parametrize("status", [409, 503])
def test_a_node_that_was_changed_meanwhile_is_read_again(world: World, status: int) -> None:
    world.document["limitMinutes"] = 10
    given(world)
    world.api.node("compute-0", uuid=UUID)
    world.api.refuse["PATCH", f"{NODES}/{FQDN}"] = status
    with meanwhile(lambda: world.api.refuse.clear(), pause=0.3):
        world.joins()
    assert ROLE in labels(world)


def test_taints_are_replaced_only_as_they_were_read(world: World) -> None:
    roles = world.agent.load("installation.roles")
    node = world.api.node("compute-0", uuid=UUID)
    body = roles.patch(node, roles.Wanted({}, [TAINT], ""))
    assert body["metadata"]["resourceVersion"] == node["metadata"]["resourceVersion"]
