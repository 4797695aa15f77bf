"""A running cluster's routers are where the settings say: moved by their placement, followed until they have moved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.installation import machines as world
from tests.installation.machines import Machines, machines
from tests.installation.test_install import MINUTE, Site, site

__all__ = ["machines", "site"]
CONTROLLER = "/apis/operator.openshift.io/v1/namespaces/openshift-ingress-operator/ingresscontrollers/default"
DEPLOYMENT = "/apis/apps/v1/namespaces/openshift-ingress/deployments/router-default"
WORKER, INFRA = "node-role.kubernetes.io/worker", "node-role.kubernetes.io/infra"
TOLERATION = {"key": INFRA, "operator": "Exists", "effect": "NoSchedule"}


def on(label: str, **other: Any) -> dict[str, Any]:
    return {"nodeSelector": {"matchLabels": {label: ""}}, **other}


def wanted(site: Site, label: str, **other: Any) -> None:
    site.document["ingress"] = {"pool": "infra", "nodePlacement": on(label, **other), "replicas": 2}


def rolled(site: Site, label: str, *, total: int = 2, updated: int = 2, available: int = 2, observed: int = 1) -> None:
    site.api.add(
        DEPLOYMENT,
        metadata={"generation": 1},
        spec={"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux", label: ""}}}},
        status={
            "observedGeneration": observed,
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
        },
    )


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ({}, WORKER),
        ({"nodePlacement": on(INFRA)}, INFRA),
        ({"nodePlacement": {"nodeSelector": {"matchLabels": {"kubernetes.io/os": "linux", INFRA: ""}}}}, INFRA),
    ],
)
def test_routers_that_are_where_they_shall_be_are_left_as_somebody_scaled_them(
    site: Site, spec: dict[str, Any], label: str
) -> None:
    wanted(site, label)
    site.api.add(CONTROLLER, spec={"replicas": 3, **spec})
    rolled(site, label, total=3, updated=3, available=1)
    site.wait()
    assert site.api.get(CONTROLLER)["spec"] == {"replicas": 3, **spec}


@pytest.mark.usefixtures("machines")
def test_routers_move_and_are_followed_until_none_is_left_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.document["limitMinutes"] = 10
    wanted(site, INFRA, tolerations=[TOLERATION])
    site.api.add(CONTROLLER, spec={"defaultCertificate": {"name": "own"}, "nodePlacement": on(WORKER)})
    rolled(site, WORKER)
    steps = {
        "still waiting: the operator has not heard yet": lambda: rolled(site, INFRA, observed=0),
        "still waiting: 2 of 2 routers on pool infra": lambda: rolled(site, INFRA, total=3, updated=1),
        "still waiting: 1 of 3 routers on pool infra": lambda: rolled(site, INFRA, available=0),
        "still waiting: 2 of 2 routers on pool infra, 0": lambda: rolled(site, INFRA, available=1),
    }
    words = list(steps)
    world.when_said(site.agent, monkeypatch, steps)
    site.wait()
    spec = site.api.get(CONTROLLER)["spec"]
    assert spec["defaultCertificate"] == {"name": "own"}
    assert spec["nodePlacement"]["nodeSelector"]["matchLabels"] == {INFRA: ""}
    assert spec["nodePlacement"]["tolerations"] == [TOLERATION]
    assert spec["replicas"] == 2
    shown = capsys.readouterr().out
    assert [one for one in words if one not in shown] == []
    assert "ingress: 2 of 2 routers on pool infra, 1 available" in shown


def test_an_ingress_that_does_not_move_is_named(site: Site) -> None:
    wanted(site, INFRA)
    site.document["limitMinutes"] = MINUTE
    assert "there is no IngressController yet" in site.fails().message
    site.api.add(CONTROLLER, spec={})
    failed = site.fails()
    assert failed.stage == "4/7 ingress"
    assert "the operator has not heard yet that routers shall be on pool infra" in failed.message


def test_an_ingress_that_the_settings_do_not_name_is_left_to_the_cluster(site: Site, machines: Machines) -> None:
    site.api.add(CONTROLLER, spec={"nodePlacement": on("theirs")})
    site.wait()
    assert site.api.get(CONTROLLER)["spec"] == {"nodePlacement": on("theirs")}
