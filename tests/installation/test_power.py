"""Stopping and starting a whole cluster: the order, the refusals, and what a start takes back."""

from __future__ import annotations

import calendar
import time
from typing import Any

import pytest

from tests.installation import machines as world
from tests.installation.fake_api import DOMAIN, LEASES, NODES, FakeApi
from tests.installation.machines import COMPUTE, CONTROL_PLANE, Machines, machines, result
from tests.installation.test_approver import client, pem

__all__ = ["machines"]
MINUTE = 1 / 60
SECRETS = "/api/v1/namespaces/openshift-kube-apiserver-operator/secrets"
SIGNER = f"{SECRETS}/kube-apiserver-to-kubelet-signer"
NAMES = [row["name"] for row in [*CONTROL_PLANE, *COMPUTE]]


class Site:
    """A cluster that is well. Its API falls silent with the last of its control plane."""

    def __init__(self, agent: Any, api: FakeApi, machines: Machines) -> None:
        self.agent, self.api, self.machines = agent, api, machines
        self.document: dict[str, Any] = {
            "api": api.where,
            "machines": [*CONTROL_PLANE, *COMPUTE],
            "limitMinutes": 10,
        }
        for name in NAMES:
            self.node(name)
        self.signer(30)

    def node(self, name: str, **other: Any) -> None:
        role = "control-plane" if name.startswith("control") else "compute"
        self.api.node(name, role=role, **{"boot": f"first of {name}", **other})

    def signer(self, days: float, name: str = "kube-apiserver-to-kubelet-signer") -> str:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))
        self.api.add(f"{SECRETS}/{name}", metadata={"annotations": {"auth.openshift.io/certificate-not-after": until}})
        return until

    def stop(self, **other: Any) -> None:
        self.agent.load("installation.stop").main([], {**self.document, **other})

    def start(self, **other: Any) -> None:
        self.agent.load("installation.start").main([], {**self.document, **other})

    def fails(self, verb: str, **other: Any) -> Any:
        with pytest.raises(self.agent.failed) as caught:
            getattr(self, verb)(**other)
        return caught.value

    def marks(self) -> dict[str, tuple[bool, str]]:
        """Whether each node takes no pods, and our mark on it."""
        found = {}
        for name in NAMES:
            node = self.api.get(f"{NODES}/{name}.{DOMAIN}")
            mark = node["metadata"]["annotations"].get("okd-libvirt/cordoned", "")
            found[name] = (bool(node["spec"].get("unschedulable")), mark)
        return found

    def switched_on(self, *names: str) -> None:
        """Machines are back: another boot, and what they were cordoned for stays."""
        for name in names or NAMES:
            self.machines[name].on = True
            with self.api.change(f"{NODES}/{name}.{DOMAIN}") as node:
                node["status"]["nodeInfo"]["bootID"] = f"second of {name}"


@pytest.fixture
def site(agent: Any, api: FakeApi, machines: Machines) -> Site:
    return Site(agent, api, machines)


def test_compute_goes_first_and_then_the_control_plane(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    until = site.signer(30)
    site.stop()
    assert {*site.machines.order[:2]} == {"compute-0", "compute-1"}
    assert {*site.machines.order[2:]} == {"control-plane-0", "control-plane-1", "control-plane-2"}
    assert result(capsys.readouterr().out) == {"certificatesUntil": until, "off": NAMES}
    assert all(cordoned for cordoned, _ in site.marks().values())


def test_it_says_how_long_certificates_stay_good(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.stop()
    shown = capsys.readouterr().out
    assert "(30.0 days): start the cluster before" in shown
    assert "WARNING" not in shown


@pytest.mark.parametrize("kind", ["client", "serving"])
def test_the_first_end_of_all_certificates_counts_not_the_signers(
    site: Site, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    site.signer(365)
    setattr(site.machines["compute-1"], f"{kind}_until", 0.5)
    site.stop()
    shown = capsys.readouterr().out
    assert f"WARNING: then the kubelet's {kind} certificate of compute-1 ends: off for longer" in shown
    assert "as cluster-start (make start) does for declared machines" in shown
    assert "authority of API servers towards kubelets" in shown
    assert "365.0 days" in shown
    until = calendar.timegm(time.strptime(result(shown)["certificatesUntil"], "%Y-%m-%dT%H:%M:%SZ"))
    assert 11 * 3600 < until - time.time() < 13 * 3600


def test_certificates_of_the_control_plane_count_but_no_copies_and_none_that_nobody_uses(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.signer(20, "aggregator-client-signer")
    site.signer(2, "localhost-serving-cert-certkey-7")
    site.signer(-3, "node-system-admin-client")
    site.stop()
    shown = capsys.readouterr().out
    assert "control plane: aggregator-client-signer " in shown
    assert "(20.0 days): start the cluster before" in shown


def test_no_key_is_read_to_learn_when_a_certificate_ends(site: Site) -> None:
    site.stop()
    assert site.api.secrets_read == []
    asked = [one for machine in site.machines.known.values() for one in machine.asked if "pem" in one]
    assert asked
    assert all(part.startswith("sudo openssl x509 -noout -enddate") for one in asked for part in one.split(" && "))


def test_what_cannot_be_learned_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.api.refuse[("GET", "/api/v1/namespaces/openshift-etcd/secrets")] = 403
    site.machines["compute-1"].mute = True
    site.stop()
    shown = capsys.readouterr().out
    assert "nothing tells the end of certificates in openshift-etcd (403" in shown
    assert "the kubelet's certificates of compute-1" in shown


def test_when_nothing_tells_it_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    del site.api.objects[SIGNER]
    for one in site.machines.known.values():
        one.mute = True
    site.stop()
    shown = capsys.readouterr().out
    assert "nothing tells how long" in shown
    assert result(shown)["certificatesUntil"] is None


def test_a_cluster_that_is_not_well_is_not_stopped(site: Site) -> None:
    site.node("compute-1", ready=None, message="Kubelet stopped posting node status.")
    failed = site.fails("stop")
    assert failed.stage == "1/5 nodes"
    assert "compute-1 is not Ready" in failed.why
    assert "stopped posting" in failed.message
    assert "with force" in failed.remedy
    assert site.machines.order == []
    assert site.api.changes() == []


def test_force_stops_it_as_it_is(site: Site) -> None:
    site.node("compute-1", ready=None)
    site.stop(force=True)
    assert sorted(site.machines.order) == sorted(NAMES)


def test_an_api_that_is_silent_is_no_reason_to_go_on_without_force(site: Site) -> None:
    site.api.stop()
    failed = site.fails("stop")
    assert "cannot be asked whether it is well" in failed.why
    assert "start the cluster first" in failed.remedy
    assert site.machines.order == []
    site.stop(force=True)
    assert sorted(site.machines.order) == sorted(NAMES)


def test_what_is_off_already_is_done(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.stop()
    site.api.stop()
    site.machines.order.clear()
    site.stop()
    shown = capsys.readouterr().out
    assert "every machine is off already" in shown
    assert site.machines.order == []


def test_a_stop_that_was_killed_goes_on_though_half_the_control_plane_is_off(site: Site) -> None:
    site.machines["control-plane-2"].login = False
    failed = site.fails("stop")
    assert failed.stage == "5/5 control plane"
    assert "control-plane-2 cannot be shut down" in failed.why
    assert "virsh shutdown" in failed.remedy
    site.api.stop()
    site.machines["control-plane-2"].login = True
    site.stop()
    assert site.machines.order[-1] == "control-plane-2"


def test_a_stop_that_was_killed_after_the_cordon_is_not_refused(site: Site) -> None:
    site.machines["compute-0"].login = False
    assert site.fails("stop").stage == "4/5 compute"
    site.machines["compute-0"].login = True
    site.stop()
    assert sorted(site.machines.order) == sorted(NAMES)


def test_a_machine_that_stays_on_is_named(site: Site) -> None:
    site.machines["compute-1"].stays = True
    failed = site.fails("stop", limitMinutes=MINUTE / 4)
    assert "compute-1 cannot be shut down" in failed.why
    assert COMPUTE[1]["address"] in failed.message
    assert not [name for name in site.machines.order if name.startswith("control")]


def test_what_others_have_cordoned_stays_cordoned(site: Site) -> None:
    site.node("compute-0", unschedulable=True)
    site.stop()
    site.switched_on()
    site.start()
    assert site.marks()["compute-0"] == (True, "")
    assert site.marks()["compute-1"] == (False, "")


def test_a_node_that_was_being_drained_to_leave_keeps_its_mark(site: Site) -> None:
    site.node("compute-0", unschedulable=True)
    with site.api.change(f"{NODES}/compute-0.{DOMAIN}") as node:
        node["metadata"]["annotations"]["okd-libvirt/cordoned"] = "leave"
    site.stop()
    site.switched_on()
    site.start()
    assert site.marks()["compute-0"] == (True, "leave")


def test_a_start_takes_back_what_the_stop_did(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.stop()
    site.switched_on()
    site.start()
    assert set(site.marks().values()) == {(False, "")}
    found = result(capsys.readouterr().out)
    assert found == {"ready": 5, "uncordoned": sorted(f"{name}.{DOMAIN}" for name in NAMES), "left": []}


def test_a_start_waits_for_the_api(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.stop()
    site.switched_on()
    site.api.stop()
    world.later(0.5, site.api.start)
    site.start()
    assert "stage 1/3 api: https://api" in capsys.readouterr().out


def test_what_is_still_said_to_be_ready_from_before_is_not_believed(site: Site) -> None:
    site.stop()
    site.switched_on(*NAMES[:-1])
    failed = site.fails("start", limitMinutes=MINUTE)
    assert failed.stage == "2/3 nodes"
    assert "compute-1: has not reported since" in failed.message
    assert "virsh list --all" in failed.remedy
    assert site.marks()["compute-0"][0]


def test_machines_that_were_never_off_are_found_by_their_leases(site: Site) -> None:
    site.machines["compute-0"].login = False
    site.fails("stop")
    site.switched_on("compute-1")
    for name in NAMES:
        site.api.add(f"{LEASES}/{name}.{DOMAIN}", spec={"renewTime": "1"})

    def beat() -> None:
        for name in NAMES:
            with site.api.change(f"{LEASES}/{name}.{DOMAIN}") as lease:
                lease["spec"]["renewTime"] = "2"

    world.later(0.5, beat)
    site.start()
    assert set(site.marks().values()) == {(False, "")}


def test_machines_that_were_off_for_long_are_let_in_anew_and_nobody_else(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.stop()
    site.node("compute-1", ready=None, boot="second of compute-1")
    site.switched_on()
    site.api.request("own", **client(pem(f"system:node:compute-1.{DOMAIN}")))
    site.api.request("foreign", **client(pem(f"system:node:compute-9.{DOMAIN}")))
    site.api.after.append(lambda method, path: site.node("compute-1") if path.endswith("/approval") else None)
    site.start()
    assert site.api.approval("own") == "Approved OkdLibvirtApproved"
    assert site.api.approval("foreign") == ""
    assert [one["name"] for one in result(capsys.readouterr().out)["left"]] == ["foreign"]


def test_machines_whose_certificates_ran_out_while_all_were_off_come_back_by_themselves(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody stopped them: their Nodes read Ready, as etcd kept them, and each asks for a certificate."""
    for name in NAMES:
        site.api.lease(name, age=2 * 86400)
        site.api.request(name, **client(pem(f"system:node:{name}.{DOMAIN}")))

    def renew(method: str, path: str) -> None:
        for name in NAMES if path == LEASES else ():
            if site.api.approval(name):
                site.api.lease(name)

    site.api.after.append(renew)
    site.agent.waits("LEASE", 0.5)
    site.start()
    shown = capsys.readouterr().out
    assert "reads Ready, and whether it lives is not known yet" in shown
    assert {site.api.approval(name) for name in NAMES} == {"Approved OkdLibvirtApproved"}
    assert result(shown) == {"ready": 5, "uncordoned": [], "left": []}


def test_a_start_does_not_count_a_machine_whose_node_merely_reads_ready(site: Site) -> None:
    site.api.lease("compute-1", age=3600)
    failed = site.fails("start", limitMinutes=MINUTE / 2)
    assert "compute-1: it reads Ready, but its kubelet has not reported since" in failed.message


def test_a_cluster_with_a_machine_that_merely_reads_ready_is_not_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.agent.load("installation.leases"), "POLL", 0.02)
    site.agent.waits("LEASE", 0.2)
    site.api.lease("compute-1", age=3600)
    failed = site.fails("stop")
    assert "compute-1" in failed.why
    assert "compute-1: it reads Ready, but its kubelet has not reported since" in failed.message
    assert site.machines.order == []


def test_a_start_where_nothing_was_stopped_changes_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.start()
    assert site.api.changes() == []
    assert result(capsys.readouterr().out)["uncordoned"] == []


def test_an_api_that_fails_in_the_midst_of_a_stop_is_told(site: Site) -> None:
    site.api.refuse[("PATCH", f"{NODES}/control-plane-1.{DOMAIN}")] = 500
    failed = site.fails("stop")
    assert failed.stage == "3/5 cordon"
    assert "as the test asked for" in failed.message
    assert "none was shut down" in failed.in_service
    assert "cluster-start" in failed.remedy
    assert site.machines.order == []
