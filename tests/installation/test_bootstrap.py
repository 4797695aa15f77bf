"""Waiting for the bootstrap: stage by stage, over logs as nginx writes them and an API as a cluster's."""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.installation import machines as world
from tests.installation.fake_api import DOMAIN, NODES, Authority, FakeApi, write_set
from tests.installation.machines import BOOTSTRAP, COMPUTE, CONTROL_PLANE, Machines, machines, result, uuid
from tests.installation.test_approver import address as ip
from tests.installation.test_approver import client, dns, pem, serving

__all__ = ["machines"]
MINUTE = 1 / 60


class Site:
    """Four machines on their way, and the document about them."""

    def __init__(self, agent: Any, api: FakeApi, place: Path) -> None:
        self.agent, self.api = agent, api
        self.bootstrap = agent.load("installation.bootstrap")
        self.boots = [world.boot_document(row, place) for row in [BOOTSTRAP, *CONTROL_PLANE]]
        self.limits = {"bootMinutes": MINUTE, "apiMinutes": MINUTE, "bootstrapMinutes": MINUTE}

    def document(self) -> dict[str, Any]:
        return {
            "api": self.api.where,
            "bootstrap": self.boots[0],
            "controlPlane": self.boots[1:],
            "machineConfig": {"port": 22623},
            "limits": self.limits,
            "consoleLogs": {one["name"]: f"/var/log/libvirt/qemu/{one['name']}.log" for one in self.boots},
        }

    def booted(self) -> None:
        for one in self.boots:
            world.fetch(one)

    def joined(self, *names: str) -> None:
        for row in CONTROL_PLANE:
            if not names or row["name"] in names:
                self.api.node(row["name"], role="control-plane", uuid=uuid(row))

    def complete(self) -> None:
        self.api.config_map("kube-system", "bootstrap", status="complete")

    def wait(self) -> None:
        self.bootstrap.main([], self.document())

    def fails(self) -> Any:
        with pytest.raises(self.agent.failed) as caught:
            self.wait()
        return caught.value


@pytest.fixture
def site(agent: Any, api: FakeApi, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    commands = agent.load("commands")
    quiet = commands.Result(0, "")
    monkeypatch.setattr(commands, "run", lambda argv, **_: quiet)
    made = Site(agent, api, tmp_path)
    # Nobody is up at the machines' addresses before they boot.
    monkeypatch.setattr(agent.load("installation.boots"), "is_up", lambda address: False)
    return made


def test_from_power_on_to_a_control_plane_of_its_own(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.limits = dict.fromkeys(site.limits, 10)
    world.later(0.1, site.booted, site.joined, site.complete)
    site.wait()
    shown = capsys.readouterr().out
    for line in ("1/4 boot: 4 machines", "2/4 api: https://api", "3/4 control plane: 3 of 3 Ready", "4/4 complete:"):
        assert f"stage {line}" in shown
    found = result(shown)
    assert found["complete"] is True
    assert found["at"].endswith("Z")


def test_progress_says_what_each_machine_is_at(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = site.agent.load("report")
    say = report.say

    def say_and_boot(line: str) -> None:
        say(line)
        if "control-plane-0: initramfs" in line:
            site.booted()

    monkeypatch.setattr(report, "say", say_and_boot)
    site.limits["bootMinutes"] = 10
    world.fetch(site.boots[0])
    world.fetch(site.boots[1], "/boot/boot.ipxe", "/images/kernel")
    site.api.node("control-plane-0", role="control-plane", uuid=uuid(CONTROL_PLANE[0]))
    site.fails()
    shown = capsys.readouterr().out
    assert "bootstrap: booted, control-plane-0: initramfs, control-plane-1: lease" in shown
    assert "1 of 3 Ready; control-plane-1: waits for its machine config" in shown


def test_what_is_complete_is_not_waited_for_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.complete()
    site.wait()
    first = result(capsys.readouterr().out)
    site.api.stop()
    site.wait()
    assert result(capsys.readouterr().out) == first


def test_an_api_that_is_up_is_no_bootstrap_that_is_complete(site: Site) -> None:
    site.agent.load("ignition.guard").note_installed()
    site.booted()
    assert site.fails().stage == "3/4 control plane"


def test_another_set_has_another_bootstrap(site: Site, agent: Any) -> None:
    site.complete()
    site.wait()
    (agent.release / "install").rename(agent.release / "install.before")
    write_set(agent.release / "install", site.api)
    del site.api.objects["/api/v1/namespaces/kube-system/configmaps/bootstrap"]
    assert site.fails().stage == "1/4 boot"


def test_a_killed_run_goes_on_where_it_was(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.booted()
    site.joined()
    assert site.fails().stage == "4/4 complete"
    site.complete()
    site.wait()
    assert result(capsys.readouterr().out)["complete"]


def test_a_machine_that_does_not_boot_is_named_with_its_stage_and_its_console(site: Site) -> None:
    for one in site.boots[:3]:
        world.fetch(one)
    world.fetch(site.boots[3], "/boot/boot.ipxe", "/images/kernel")
    failed = site.fails()
    assert failed.stage == "1/4 boot"
    assert "control-plane-2 did not get to the stage initramfs" in failed.why
    assert "/images/kernel" in failed.message
    assert "/var/log/libvirt/qemu/control-plane-2.log" in failed.remedy
    assert not list(site.agent.release.glob("gathered/*"))


def test_a_machine_that_got_something_else_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.booted()
    boots = site.agent.load("installation.boots")
    monkeypatch.setattr(
        boots.Boot, "problems", lambda self: ["dns: 10.0.0.1 instead of ours"] * (self.name == "control-plane-1")
    )
    failed = site.fails()
    assert "control-plane-1 booted" in failed.why
    assert failed.message == "control-plane-1: dns: 10.0.0.1 instead of ours"
    assert "smoke check" in failed.remedy


def gathered(remedy: str) -> str:
    """The file that a remedy names."""
    path = next(word for word in remedy.split() if word.endswith(".tar.gz"))
    with tarfile.open(path) as archive:
        return " ".join(archive.getnames())


def test_a_bootstrap_without_an_api_tells_its_last_words_and_gathers(site: Site, machines: Machines) -> None:
    site.booted()
    site.api.stop()
    machines["bootstrap"].journal = "bootkube: waiting for the release image"
    failed = site.fails()
    assert failed.stage == "2/4 api"
    assert "bootstrap has not done its part" in failed.why
    assert "bootkube: waiting for the release image" in failed.message
    assert "journalctl -u release-image -u bootkube" in failed.remedy
    assert "/var/log/libvirt/qemu/bootstrap.log" in failed.remedy
    assert "machines/bootstrap.log" in gathered(failed.remedy)


def test_an_api_of_another_cluster_is_not_taken_for_ours(site: Site, cluster: FakeApi) -> None:
    site.booted()
    other = FakeApi(signer=Authority("another"))
    try:
        site.api.stop()
        site.document = lambda: {**Site.document(site), "api": other.where}  # type: ignore[method-assign]
        failed = site.fails()
    finally:
        other.stop()
    assert failed.stage == "2/4 api"
    assert "certificate" in failed.why


def test_a_bootstrap_that_cannot_be_asked_is_no_second_failure(site: Site, machines: Machines) -> None:
    site.booted()
    site.api.stop()
    machines["bootstrap"].on = False
    failed = site.fails()
    assert "bootstrap gives no journal over SSH" in failed.message
    assert "machines/control-plane-0.log" in gathered(failed.remedy)


def test_a_machine_that_does_not_become_ready_is_named_with_what_holds_it(site: Site, machines: Machines) -> None:
    site.booted()
    site.joined("control-plane-0")
    site.api.node("control-plane-1", role="control-plane", ready=False, message="no CNI", uuid=uuid(CONTROL_PLANE[1]))
    machines["control-plane-1"].journal = "kubelet: network plugin is not ready"
    failed = site.fails()
    assert failed.stage == "3/4 control plane"
    assert "control-plane-1 is not Ready" in failed.why
    assert "no CNI" in failed.why
    assert "control-plane-2: waits for its machine config" in failed.why
    assert "kubelet: network plugin is not ready" in failed.message
    assert f"ssh core@{CONTROL_PLANE[1]['address']}" in failed.remedy
    assert "cluster/nodes.json" in gathered(failed.remedy)


def test_a_control_plane_machine_that_merely_reads_ready_is_not_counted(site: Site) -> None:
    site.booted()
    site.joined()
    site.api.lease("control-plane-1", age=3600)
    failed = site.fails()
    assert "control-plane-1 is not Ready" in failed.why
    assert "its kubelet has not reported since" in failed.why


def test_the_control_planes_requests_are_approved_and_no_other(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    declared = site.agent.load("installation.declare")
    declared.main([], {"machines": [*CONTROL_PLANE, *COMPUTE]})
    site.booted()
    name = f"control-plane-0.{DOMAIN}"
    site.api.request("own", **client(pem(f"system:node:{name}")))
    site.api.request("of-compute", **client(pem(f"system:node:compute-0.{DOMAIN}")))
    site.api.request("foreign", **client(pem(f"system:node:intruder.{DOMAIN}")))
    failed = site.fails()
    assert site.api.approval("own") == "Approved OkdLibvirtApproved"
    assert site.api.approval("of-compute") == ""
    assert site.api.approval("foreign") == ""
    assert "control-plane-0: its client certificate is approved" in failed.why
    assert "left foreign of " in failed.message
    assert "of-compute" not in failed.message
    shown = capsys.readouterr().out
    assert "approved own: the client certificate of control-plane-0" in shown
    assert shown.count("left foreign") == 1


def test_a_serving_request_follows_the_client_request(site: Site) -> None:
    site.booted()
    name, address = f"control-plane-0.{DOMAIN}", CONTROL_PLANE[0]["address"]
    asked = serving(pem(f"system:node:{name}", names=[*dns(name), *ip(address)]), user=f"system:node:{name}")
    site.api.request("serving", **asked)
    site.api.node("control-plane-0", role="control-plane", ready=False, uuid=uuid(CONTROL_PLANE[0]))
    failed = site.fails()
    assert site.api.approval("serving") == "Approved OkdLibvirtApproved"
    assert "control-plane-0: both certificates are approved" in failed.why


def test_a_node_of_a_machine_that_was_replaced_does_not_count(site: Site) -> None:
    site.booted()
    site.joined()
    with site.api.change(f"{NODES}/control-plane-2.{DOMAIN}") as node:
        node["status"]["nodeInfo"]["systemUUID"] = "another"
    assert "control-plane-2: its Node is still that of another machine" in site.fails().why


def test_an_api_that_falls_silent_while_the_control_plane_takes_over_is_waited_for(site: Site) -> None:
    site.limits["bootstrapMinutes"] = 10
    site.booted()
    site.joined()
    silent = threading.Timer(0.2, site.api.stop)
    silent.start()
    world.later(1.0, site.api.start, site.complete)
    site.wait()


def test_control_plane_and_completion_share_one_limit(site: Site) -> None:
    site.booted()
    site.joined()
    failed = site.fails()
    assert failed.stage == "4/4 complete"
    assert "not within 0.0166667 minutes" in failed.why
    assert "bootstrap has not done its part" in failed.why
