"""Machine types and stylesheets: new machines get what the host offers, those that stand keep what they were made with."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cluster import changes
from cluster.before import Before
from cluster.changes.form import Form, Forms
from cluster.plan import Plan
from cluster.preflight import answers
from tests.cluster.conftest import Change, planned
from tests.cluster.state import IMAGE, outputs, resources

Q35 = frozenset({"pc", "pc-i440fx-7.2", "q35", "pc-q35-7.2"})
# Machine types as `virsh capabilities` shows them for x86_64: canonical name, alias.
HOSTS = {
    "EL9": [("pc-i440fx-rhel7.6.0", "pc"), ("pc-q35-rhel9.6.0", "q35"), ("pc-q35-rhel9.4.0", "")],
    "EL10": [("pc-q35-rhel10.0.0", "q35"), ("pc-q35-rhel9.6.0", "")],
    "Debian 12": [("pc-i440fx-7.2", "pc"), ("pc-q35-7.2", "q35"), ("microvm", ""), ("isapc", "")],
    "Debian 13": [("pc-i440fx-10.0", "pc"), ("pc-q35-10.0", "q35"), ("microvm", ""), ("isapc", "")],
}


def capabilities(host: str, *, below_domains: bool = False) -> str:
    rows = "".join(
        f"<machine maxCpus='255'>{name}</machine>"
        + (f"<machine canonical='{name}' maxCpus='255'>{alias}</machine>" if alias else "")
        for name, alias in HOSTS[host]
    )
    machines = f"<domain type='kvm'>{rows}</domain>" if below_domains else f"{rows}<domain type='kvm'/>"
    return (
        "<capabilities><host><cpu><arch>x86_64</arch></cpu><secmodel><model>apparmor</model></secmodel></host>"
        "<guest><os_type>hvm</os_type><arch name='i686'><machine>isapc-32</machine><domain type='qemu'/></arch></guest>"
        f"<guest><os_type>hvm</os_type><arch name='x86_64'>{machines}</arch></guest></capabilities>"
    )


def offered(host: str, *, below_domains: bool = False) -> frozenset[str]:
    found = answers.processors(capabilities(host, below_domains=below_domains))
    assert found is not None
    return found.machines


def stood(was: Plan, now: Plan, made: dict[str, Any]) -> Plan:
    """`now`, planned on a stack whose domains were `made` so."""
    state = resources(was)
    for one in state:
        if one["type"].endswith(":Domain"):
            one["outputs"] |= made
    return dataclasses.replace(now, before=Before.of(outputs(was), state))


def forms(plan: Plan, machines: frozenset[str] = Q35, domain_type: str = "qemu") -> Forms:
    effects = changes.effects(plan, image=lambda: IMAGE, domain_type=domain_type)
    return changes.forms(plan, effects, machines)


def of_dev(change: Change, made: dict[str, Any]) -> Plan:
    was = planned("dev").after_bootstrap()
    return stood(was, planned("dev", change).after_bootstrap(), made)


OLD = {"machine": "pc", "xml": {"xslt": "<old/>"}}


@pytest.mark.parametrize("below_domains", [False, True], ids=["by architecture", "by domain type"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_new_machine_is_a_q35_wherever_the_host_offers_one(host: str, below_domains: bool) -> None:
    machines = offered(host, below_domains=below_domains)
    assert "isapc-32" not in machines
    assert forms(planned("dev"), machines).form("compute-0") == Form("q35")
    assert forms(planned("dev"), machines).form("services") == Form("q35")


@pytest.mark.parametrize("machines", [frozenset[str](), frozenset({"pc", "pc-i440fx-2.0"})], ids=["unknown", "older"])
def test_elsewhere_the_provider_chooses(machines: frozenset[str]) -> None:
    assert forms(planned("dev"), machines).form("compute-0") == Form(None)


@pytest.mark.parametrize("host", [Q35, frozenset[str]()], ids=["known", "unknown"])
def test_a_domain_that_stands_keeps_the_form_that_it_was_made_with(host: frozenset[str]) -> None:
    kept = forms(of_dev(lambda config: None, OLD), host)
    for name in ("services", "control-plane-0", "compute-0"):
        assert kept.form(name) == Form("pc", "<old/>")


def test_after_a_newer_qemu_was_refreshed_the_state_still_rules() -> None:
    kept = forms(of_dev(lambda config: None, {"machine": "pc-q35-7.2", "xml": {"xslt": "<x/>"}}))
    assert kept.form("compute-0") == Form("pc-q35-7.2", "<x/>")


def test_a_domain_made_anew_over_its_disk_gets_the_new_stylesheet_on_the_machine_it_was_installed_on() -> None:
    def change(config: dict[str, Any]) -> None:
        config["machines"]["compute-0"]["memoryMiB"] = 640

    found = forms(of_dev(change, OLD))
    assert found.form("compute-0") == Form("pc")
    assert found.form("compute-1") == Form("pc", "<old/>")
    gone = forms(of_dev(change, OLD), offered("EL10"))
    assert gone.form("compute-0") == Form("q35"), "a host that has no such machine any more"


def test_a_machine_with_a_new_root_disk_and_one_that_comes_get_the_new_form() -> None:
    def change(config: dict[str, Any]) -> None:
        config["machines"]["compute-0"]["diskGiB"] = 3
        config["machines"]["compute-2"] = {"address": "192.168.200.22"}

    found = forms(of_dev(change, OLD))
    assert found.form("compute-0") == Form("q35")
    assert found.form("compute-2") == Form("q35")
    assert found.form("services") == Form("pc", "<old/>")
