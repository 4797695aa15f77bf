"""The installation under mocks: what is made in which order, and what the next update no longer declares."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from tests.components.conftest import Run

Runner = Callable[..., Run]
NODES = ["control-plane-0", "control-plane-1", "control-plane-2", "compute-0", "compute-1"]


def document(run: Run, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(run.recording.named(name, "Command").inputs["stdin"]).partition("\n")[2])
    return found


def names(run: Run, kind: str) -> set[str]:
    return {one.name for one in run.recording.of_type(kind) if one.custom}


def machines(run: Run) -> set[str]:
    return {name.removesuffix("-domain") for name in names(run, "Domain")} - {"services"}


def after(run: Run, name: str) -> set[str]:
    """The names of all resources that `name` waits for, through others and through the components around it."""
    by_urn = {urn_name(request): request for request in run.requests.values()}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        request = by_urn[waiting.pop()]
        for urn in (*request.dependencies, *([request.parent] if request.parent else [])):
            other = urn.rsplit("::", 1)[1]
            if other in by_urn and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def urn_name(request: Any) -> str:
    return str(request.name)


def outputs(run: Run) -> dict[str, Any]:
    """What the engine would remember of a run that came to its end."""
    return {name: run.values[name] for name in ("apiUrl", "clusterNetwork", "bootstrap", "installation")}


@pytest.fixture(scope="module")
def first(run: Runner) -> Run:
    return run("dev")


@pytest.fixture(scope="module")
def second(run: Runner, first: Run) -> Run:
    return run("dev", before=outputs(first))


def test_the_first_update_makes_every_machine_of_the_table(first: Run) -> None:
    assert machines(first) == {"bootstrap", *NODES}
    assert {f"{name}-join" for name in NODES} <= names(first, "Command")


def test_what_needs_no_service_does_not_wait_for_one(first: Run) -> None:
    assert "load-balancer-bundle" not in after(first, "mirror-secrets")
    assert "mirror-release" not in after(first, "ignition-secrets")
    assert "smoke-check-run" not in after(first, "mirror-client")
    assert "load-balancer-bundle" in after(first, "mirror-client")
    assert {"smoke-check-run", "mirror-client"} <= after(first, "mirror-release")
    # A set of ignition configs that an earlier host has made lies on the data volume.
    assert any("storage" in name for name in after(first, "ignition-secrets"))
    assert {"mirror-tools", "ignition-secrets"} <= after(first, "ignition-set")


def test_bootstrap_and_control_plane_boot_only_once_their_ignition_configs_are_published(first: Run) -> None:
    for name in ("bootstrap-domain", "control-plane-0-domain"):
        assert {"ignition-set", "boot-image-fetch", "installation-declared"} <= after(first, name)
        assert "installation-bootstrap-complete" not in after(first, name)


def test_a_first_installations_compute_machines_boot_beside_the_control_plane_and_join_while_the_bootstrap_leaves(
    first: Run, second: Run
) -> None:
    for name in ("compute-0", "compute-1"):
        assert "ignition-set" in after(first, f"{name}-domain")
        assert "installation-bootstrap-complete" not in after(first, f"{name}-domain")
        assert "installation-bootstrap-complete" in after(first, f"{name}-join")
        assert not {"installation-bootstrap-departure", "installation-compute-config"} & after(first, f"{name}-join")
    assert "compute-0-join" not in after(first, "compute-1-domain"), "new machines are made all at once"
    assert "installation-compute-config" in after(second, "compute-0-domain"), "later ones take what the cluster gives"


def test_the_installation_is_complete_when_every_machine_has_joined(first: Run) -> None:
    assert {f"{name}-join" for name in NODES} <= after(first, "installation-complete")
    assert {"installation-bootstrap-departure", "installation-compute-config"} <= after(first, "installation-complete")


def test_every_wait_knows_the_domains_that_it_waits_for(first: Run) -> None:
    waited = document(first, "installation-bootstrap-complete")
    assert waited["bootstrap"]["uuid"] == "bootstrap-domain-id"
    assert [one["uuid"] for one in waited["controlPlane"]] == [f"control-plane-{n}-domain-id" for n in range(3)]
    assert document(first, "compute-1-join")["machine"]["uuid"] == "compute-1-domain-id"


def test_the_bootstrap_leaves_with_a_load_balancer_that_does_not_name_it(first: Run) -> None:
    bundle = document(first, "installation-bootstrap-departure")["bundle"]
    lines = [line for file in bundle["files"] for line in file.get("lines", [])]
    assert any("server control-plane-0 " in line for line in lines)
    assert not any("server bootstrap " in line for line in lines)


def test_the_next_update_removes_the_bootstrap_and_nothing_else(first: Run, second: Run) -> None:
    gone = {one.name for one in first.recording.resources} - {one.name for one in second.recording.resources}
    assert gone == {
        "bootstrap",
        "bootstrap-root",
        "bootstrap-domain",
        "installation-bootstrap-complete",
        "installation-bootstrap-departure",
    }
    for one in second.recording.resources:
        if one.custom and one.name not in ("load-balancer-bundle", "smoke-check-run"):
            assert one.inputs == first.recording.named(one.name).inputs, one.name


def test_the_load_balancer_is_then_delivered_as_the_bootstrap_left_it(first: Run, second: Run) -> None:
    assert document(second, "load-balancer-bundle") == document(first, "installation-bootstrap-departure")["bundle"]


def test_the_update_after_that_changes_nothing(run: Runner, second: Run) -> None:
    third = run("dev", before=outputs(second))
    assert {one.name: one.inputs for one in third.recording.resources} == {
        one.name: one.inputs for one in second.recording.resources
    }
    assert outputs(third) == outputs(second)


def test_what_is_left_of_a_destroyed_stack_is_brought_up_from_the_beginning(run: Runner, first: Run) -> None:
    again = run("dev", before=outputs(first), stands=False)
    assert {one.name: one.inputs for one in again.recording.resources} == {
        one.name: one.inputs for one in first.recording.resources
    }


def test_a_bootstrap_that_is_kept_stays_out_of_the_load_balancer(run: Runner, first: Run) -> None:
    def keep(config: dict[str, Any]) -> None:
        config.setdefault("install", {})["keepBootstrap"] = True

    kept = run("dev", keep, before=outputs(first))
    assert "bootstrap" in machines(kept)
    assert "server bootstrap " not in str(kept.recording.named("load-balancer-bundle", "Command").inputs["stdin"])
    assert "installation-bootstrap-complete" not in names(kept, "Command")


def test_only_the_bootstrap_does_not_start_with_the_libvirt_host(first: Run) -> None:
    for domain in first.recording.of_type("Domain"):
        assert domain.inputs["autostart"] is (domain.name != "bootstrap-domain"), domain.name


def test_a_new_compute_machine_touches_no_other_machine(run: Runner, second: Run) -> None:
    def grow(config: dict[str, Any]) -> None:
        config["machines"]["compute-2"] = {"address": "192.168.200.22"}

    grown = run("dev", grow, before=outputs(second))
    added = {one.name for one in grown.recording.resources} - {one.name for one in second.recording.resources}
    assert added == {"compute-2", "compute-2-root", "compute-2-domain", "compute-2-join"}
    for name in NODES:
        for kind in ("domain", "root", "join"):
            one = f"{name}-{kind}"
            assert grown.recording.named(one).inputs == second.recording.named(one).inputs, one
    assert {"installation-compute-config", "installation-declared"} <= after(grown, "compute-2-domain")
    assert document(grown, "installation-complete") == document(second, "installation-complete")


def test_machines_that_have_joined_are_touched_one_after_the_other(second: Run) -> None:
    for earlier, later in itertools.pairwise(NODES):
        assert f"{earlier}-join" in after(second, f"{later}-domain")


def test_a_machine_leaves_by_draining_unless_its_services_host_goes_as_well(first: Run) -> None:
    for name in NODES:
        join = first.recording.named(f"{name}-join", "Command")
        assert join.inputs["delete"] == "sudo /usr/local/sbin/okd-host node-leave"
        request = first.requests[f"{name}-join"]
        assert request.deletedWith.endswith("::services-domain")
        assert request.deleteBeforeReplace


def test_the_departure_of_the_bootstrap_waits_thirty_minutes_at_least(run: Runner) -> None:
    built = run("dev", lambda config: config.setdefault("install", {}).update(limits={"bootstrapMinutes": 5}))
    assert document(built, "installation-bootstrap-departure")["limitMinutes"] == 30
    timeout = built.requests["installation-bootstrap-departure"].customTimeouts.create
    assert timeout == f"{30 * 60 + 900 + 3600 + 1800}s"


def test_waits_have_their_own_limits(run: Runner) -> None:
    def patient(config: dict[str, Any]) -> None:
        config.setdefault("install", {})["limits"] = {"bootstrapMinutes": 111, "nodeMinutes": 77, "drainMinutes": 5}

    built = run("dev", patient)
    assert document(built, "installation-bootstrap-complete")["limits"]["bootstrapMinutes"] == 111
    assert document(built, "compute-0-join")["limitMinutes"] == 77
    assert document(built, "installation-bootstrap-departure")["limitMinutes"] == 111
    assert document(built, "compute-0-join")["drainMinutes"] == 5
    timeouts = built.requests["compute-0-join"].customTimeouts
    assert (timeouts.create, timeouts.delete) == (f"{77 * 60 + 1800}s", f"{5 * 60 + 900 + 1800}s")
    assert built.requests["control-plane-0-join"].customTimeouts.delete == f"{5 * 60 + 1800 + 900 + 1800}s"
    assert built.requests["installation-bootstrap-complete"].customTimeouts.create == f"{(20 + 30 + 111) * 60 + 1800}s"


@pytest.mark.parametrize(
    "count", [1, 3], ids=["single node", "compact"]
)  # fmt: skip
def test_without_compute_the_control_plane_takes_the_ingress_and_workloads(run: Runner, count: int) -> None:
    def shrink(config: dict[str, Any]) -> None:
        rows = config["machines"]
        for name in [name for name in rows if name.startswith("compute")]:
            del rows[name]
        for number in range(count, 3):
            del rows[f"control-plane-{number}"]

    built = run("dev", shrink)
    assert machines(built) == {"bootstrap", *(f"control-plane-{number}" for number in range(count))}
    lines = "\n".join(
        line for file in document(built, "load-balancer-bundle")["files"] for line in file.get("lines", [])
    )
    ingress = lines.partition("\nbackend ingress-https\n")[2].partition("\nbackend ")[0]
    assert ingress.count("server control-plane-") == count
    manifests = document(built, "ignition-set")["manifests"]
    assert any("mastersSchedulable: true" in text for text in manifests.values())


def test_an_installed_control_plane_cannot_be_changed(run: Runner, second: Run) -> None:
    def shrink(config: dict[str, Any]) -> None:
        del config["machines"]["control-plane-1"]
        del config["machines"]["control-plane-2"]

    with pytest.raises(pulumi.RunError) as error:
        run("dev", shrink, before=outputs(second))
    assert "machines.control-plane-2" in str(error.value)
    assert "declare it again" in str(error.value)
