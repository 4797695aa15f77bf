"""Waiting for the installation: Ready machines, Available operators, a settled version, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.installation import machines as world
from tests.installation.fake_api import DOMAIN, NODES, FakeApi
from tests.installation.machines import COMPUTE, CONTROL_PLANE, Machines, machines, result
from tests.installation.test_approver import address, client, dns, pem, serving

__all__ = ["machines"]
MINUTE = 1 / 60
HUB = "/apis/config.openshift.io/v1/operatorhubs/cluster"


class Site:
    """An installed cluster, of which a test breaks a part."""

    def __init__(self, agent: Any, api: FakeApi) -> None:
        self.agent, self.api = agent, api
        self.install = agent.load("installation.install")
        self.document: dict[str, Any] = {
            "api": api.where,
            "machines": CONTROL_PLANE,
            "limitMinutes": MINUTE,
            "operatorHub": {"disableAllDefaultSources": True},
        }
        for row in CONTROL_PLANE:
            api.node(row["name"], role="control-plane")
        for name in ("etcd", "ingress", "network"):
            api.operator(name)
        api.cluster_version("4.19.0", message="Cluster version is 4.19.0")
        api.add(HUB, spec={})

    def wait(self) -> None:
        self.install.main([], self.document)

    def fails(self) -> Any:
        with pytest.raises(self.agent.failed) as caught:
            self.wait()
        return caught.value

    @property
    def installed(self) -> bool:
        return bool((self.agent.release / "install" / "installed").exists())


@pytest.fixture
def site(agent: Any, api: FakeApi, machines: Machines) -> Site:
    return Site(agent, api)


def test_an_installed_cluster_is_recorded(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.wait()
    found = result(capsys.readouterr().out)
    assert found["installedAt"].endswith("Z")
    assert {**found, "installedAt": ""} == {"version": "4.19.0", "operators": 3, "left": [], "installedAt": ""}
    assert site.installed


def test_a_second_time_nothing_is_changed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.wait()
    first = result(capsys.readouterr().out)
    site.api.asked.clear()
    site.wait()
    assert result(capsys.readouterr().out) == first
    assert site.api.changes() == []
    assert len(site.api.asked) < 12


def test_each_stage_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.document["limitMinutes"] = 10
    site.api.node("control-plane-2", role="control-plane", ready=False)
    site.api.operator("ingress", available=False, message="no compute machine")
    site.api.cluster_version(Available=False, Progressing=True, message="2 of 3 operators")
    steps = {
        "still waiting: 2 of 3 Ready; control-plane-2: Ready is False": lambda: site.api.node(
            "control-plane-2", role="control-plane"
        ),
        "still waiting: 2 of 3 Available; ingress: no compute machine": lambda: site.api.operator("ingress"),
        "still waiting: 4.19.0: 2 of 3 operators": lambda: site.api.cluster_version(
            message="Cluster version is 4.19.0"
        ),
    }
    words = list(steps)
    world.when_said(site.agent, monkeypatch, steps)
    site.wait()
    shown = capsys.readouterr().out
    assert [one for one in words if one not in shown] == []


def test_a_machine_that_is_not_ready_is_named_with_its_last_words(site: Site, machines: Machines) -> None:
    site.api.node("control-plane-1", role="control-plane", ready=False, message="disk pressure")
    machines["control-plane-1"].journal = "kubelet: no space left"
    failed = site.fails()
    assert failed.stage == "1/7 nodes"
    assert "control-plane-1: Ready is False: disk pressure" in failed.message
    assert "kubelet: no space left" in failed.message
    assert f"ssh core@{CONTROL_PLANE[1]['address']}" in failed.remedy
    assert not site.installed


def test_a_machine_that_merely_reads_ready_is_not_counted(site: Site) -> None:
    site.api.lease("control-plane-1", age=3600)
    assert "control-plane-1: it reads Ready, but its kubelet has not reported since" in site.fails().message


def test_operators_that_are_not_available_are_named_with_their_messages(site: Site) -> None:
    site.api.operator("ingress", available=False, message="no router\nis ready")
    site.api.operator("console", available=False, message="route is not there")
    failed = site.fails()
    assert failed.stage == "2/7 operators"
    assert failed.message.splitlines() == ["console: route is not there", "ingress: no router is ready"]
    assert "oc get clusteroperators" in failed.remedy
    assert not site.installed


def test_a_cluster_without_operators_is_not_installed(site: Site) -> None:
    for path in [path for path in site.api.objects if "clusteroperators" in path]:
        del site.api.objects[path]
    assert site.fails().stage == "2/7 operators"


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"Available": False}, "still at it"),
        ({"Progressing": True}, "still at it"),
        ({"Failing": True}, "still at it"),
        (None, "no ClusterVersion yet"),
    ],
)
def test_a_version_that_is_not_settled_is_waited_for(
    site: Site, conditions: dict[str, bool] | None, words: str
) -> None:
    if conditions is None:
        del site.api.objects["/apis/config.openshift.io/v1/clusterversions/version"]
    else:
        site.api.cluster_version(message="still at it", **conditions)
    failed = site.fails()
    assert failed.stage == "3/7 version"
    assert words in failed.message
    assert not site.installed


def test_a_degraded_operator_is_said_and_no_failure(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.api.operator("network", message="one pod is late", Degraded=True)
    site.wait()
    assert "network is Degraded: one pod is late" in capsys.readouterr().out


@pytest.mark.parametrize("before", [{}, {"disableAllDefaultSources": False}])
def test_the_operator_hub_is_made_as_meant(site: Site, before: dict[str, bool]) -> None:
    site.api.add(HUB, spec=before)
    site.wait()
    assert site.api.get(HUB)["spec"] == {"disableAllDefaultSources": True}


def test_the_operator_hub_is_left_alone_where_the_settings_say_nothing(site: Site) -> None:
    site.document["operatorHub"] = None
    site.wait()
    assert site.api.changes() == []


def test_a_cluster_without_an_operator_hub_is_fine(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    del site.api.objects[HUB]
    site.wait()
    assert "operator hub: this cluster has none" in capsys.readouterr().out


def test_foreign_requests_are_reported_and_left(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    declared = site.agent.load("installation.declare")
    declared.main([], {"machines": [*CONTROL_PLANE, *COMPUTE]})
    site.api.request("foreign", **client(pem(f"system:node:intruder.{DOMAIN}")))
    site.wait()
    found = result(capsys.readouterr().out)
    assert [one["name"] for one in found["left"]] == ["foreign"]
    assert "no declared machine" in found["left"][0]["reason"]
    assert site.api.changes() == [f"PATCH {HUB}"]


def test_a_request_of_a_compute_machine_that_comes_after_it_has_joined_is_approved(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.agent.load("installation.declare").main([], {"machines": [*CONTROL_PLANE, *COMPUTE]})
    site.document["limitMinutes"] = 10
    site.api.node("compute-0")
    site.api.operator("monitoring", available=False, message="no metrics of compute-0")
    own = [*dns(COMPUTE[0]["fqdn"]), *address(COMPUTE[0]["address"])]

    def late() -> None:
        site.api.request("late", **serving(pem(names=own)))
        site.api.request("for-more", **serving(pem(names=[*own, *dns("console.apps")])))

    def then(method: str, path: str) -> None:
        if path.endswith("/late/approval"):
            site.api.operator("monitoring")

    site.api.after.append(then)
    world.when_said(site.agent, monkeypatch, {"still waiting: 3 of 4 Available": late})
    site.wait()
    assert site.api.approval("late") == "Approved OkdLibvirtApproved"
    assert site.api.approval("for-more") == ""


def test_an_api_that_is_silent_for_a_while_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.document["limitMinutes"] = 10
    site.api.fail = 503
    world.when_said(site.agent, monkeypatch, {"still waiting": lambda: setattr(site.api, "fail", 0)})
    site.wait()
    assert site.installed


def test_one_limit_is_for_all_stages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.document["limitMinutes"] = 3 * MINUTE
    site.api.node("control-plane-2", role="control-plane", ready=False)
    site.api.operator("ingress", available=False)
    ready = {"still waiting: 2 of 3 Ready": lambda: site.api.node("control-plane-2", role="control-plane")}
    world.when_said(site.agent, monkeypatch, ready)
    failed = site.fails()
    assert failed.stage == "2/7 operators"
    assert "not within 0.05 minutes" in failed.why


def test_a_machine_without_a_node_is_said_so(site: Site) -> None:
    del site.api.objects[f"{NODES}/control-plane-0.{DOMAIN}"]
    assert "control-plane-0: has no Node yet" in site.fails().message
