"""The overview of a new stack."""

from __future__ import annotations

import pytest

from cluster import dns, load_balancer, summary
from tests.cluster.conftest import Change, planned
from tests.cluster.state import standing


def told(stack: str, change: Change = lambda config: None) -> str:
    """The overview as running text, however its lines are wrapped."""
    return " ".join(" ".join(summary.lines(planned(stack, change))).split())


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
def test_every_machine_stands_in_a_row_with_all_that_is_its_own(stack: str) -> None:
    plan = planned(stack)
    rows = [line.split() for line in summary.lines(plan)]
    for one in plan.machines:
        (row,) = [words for words in rows if words and words[0] == one.name]
        assert {str(one.address), one.mac, str(one.cpus), str(one.memory_mib), str(one.disk_gib)} <= set(row)
    assert any(words[:1] == [plan.settings.services.name] and plan.names.cluster_mac in words for words in rows)


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
def test_counts_are_those_of_what_is_served(stack: str) -> None:
    plan = planned(stack)
    records = [record for zone in dns.zones(plan) for record in zone.records]
    pointers = sum(record.type == "PTR" for record in records)
    text = told(stack)
    assert f"records: {len(records) - pointers} A and {pointers} PTR" in text
    assert f"leases: {len(plan.machines)}," in text
    assert f"boot profiles: {len(plan.machines)}," in text
    for concern in load_balancer.concerns(plan):
        assert f"{concern.port} {concern.name}" in text


def test_a_bootstrap_machine_is_named_as_the_backup_that_it_is() -> None:
    assert "control-plane-2, bootstrap as backup" in told("dev")


def test_disk_and_memory_are_sums_of_what_is_made() -> None:
    text = told("dev")
    assert "disk: at most 22 GiB (services host 6, registry 4, machines 12)" in text
    # The services host, three control plane machines, and the bootstrap or two compute machines.
    assert "memory: 4.5 GiB at once" in text
    assert "extra disks 3" in told("dev", lambda config: config["machines"]["compute-0"].update(extraDisksGiB=[1, 2]))


def test_the_release_and_all_that_comes_with_it_is_named() -> None:
    def change(config: dict[str, object]) -> None:
        release = config["release"]
        assert isinstance(release, dict)
        release |= {"additionalImages": [f"quay.io/a/b@sha256:{'a' * 64}"]}

    assert "release 4.19.0-okd-scos.0, to be mirrored: 198.51.100.1:5000/okd/scos-release" in told("dev")
    assert "1 more images" in told("dev", change)


def test_it_says_how_the_uplink_is_made_and_what_is_open_there() -> None:
    assert "192.168.125.0/24, NAT, bridge okdu-" in told("dev")
    assert "open at 192.168.125.10: 22 SSH, 6443 API" in told("dev")
    assert "bridge br0 of the host" in told("prod")


def test_it_fits_into_the_engines_lines() -> None:
    def many(config: dict[str, object]) -> None:
        machines = config["machines"]
        assert isinstance(machines, dict)
        machines |= {f"compute-{number}": {"address": f"192.168.200.{60 + number}"} for number in range(2, 42)}

    for stack in ("dev", "hard-way", "prod"):
        assert max(map(len, summary.lines(planned(stack)))) <= 116
    assert max(map(len, summary.lines(planned("dev", many)))) <= 116


def test_a_stack_that_stands_has_no_overview() -> None:
    assert summary.lines(standing(planned("dev"), planned("dev"))) == []
    assert summary.lines(standing(planned("dev"), planned("dev"), installed=False)) == []
