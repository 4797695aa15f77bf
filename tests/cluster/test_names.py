"""Names of two stacks, or of two machines, never collide."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from cluster.names import Names, derived_mac
from cluster.values import mac

# What Pulumi accepts as a stack's name: parts that are ours as well, so that a collision would be found.
PARTS = ["a", "b", "dev", "A", "0", "-", ".", "_", "console", "cluster", "uplink", "root", "data", "services", "log"]
stacks = st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join) | st.from_regex(
    r"[A-Za-z0-9_.-]{1,100}", fullmatch=True
)
labels = st.lists(
    st.sampled_from([part for part in PARTS if part not in "._A"]), min_size=1, max_size=5
).map("".join).filter(lambda name: name.strip("-") == name) | st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True
)  # fmt: skip
KINDS = ("root", "data-0", "data-1", "registry", "seed.iso", "base-0123456789ab")


@given(st.tuples(stacks, labels), st.tuples(stacks, labels))
@example(("a-b", "c"), ("a", "b-c"))
@example(("a_b-c", "d"), ("a", "b-c-d"))
def test_no_two_machines_share_a_domain_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    same = Names(one[0]).domain(one[1]) == Names(other[0]).domain(other[1])
    assert same == (one == other)


@given(st.tuples(stacks, labels), st.tuples(stacks, labels))
@example(("a-b", "console"), ("a", "b"))
def test_no_console_is_written_into_another_domains_log(one: tuple[str, str], other: tuple[str, str]) -> None:
    """libvirt's own log of a domain lies beside the consoles, and ends in `.log` as well."""
    consoles, logs = (
        {f"{Names(stack).domain(machine)}{end}" for stack, machine in (one, other)} for end in (".console.log", ".log")
    )
    assert not consoles & logs


@given(st.tuples(stacks, labels, st.sampled_from(KINDS)), st.tuples(stacks, labels, st.sampled_from(KINDS)))
@example(("a", "b-c", "root"), ("a-b", "c", "root"))
def test_no_two_volumes_are_one_file_even_in_one_directory(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    same = Names(one[0]).volume(*one[1:]) == Names(other[0]).volume(*other[1:])
    assert same == (one == other)


@given(stacks, stacks)
@example("a", "a-cluster")
@example("dev", "Dev")
def test_no_two_stacks_share_a_network_a_bridge_a_pool_or_a_card(one: str, other: str) -> None:
    if one != other:
        assert not _objects(one) & _objects(other)


def _objects(stack: str) -> set[tuple[str, str]]:
    names = Names(stack)
    return {
        ("pool", names.pool),
        ("network", names.cluster_network),
        ("network", names.uplink_network),
        ("bridge", names.cluster_bridge),
        ("bridge", names.uplink_bridge),
        ("mac", names.uplink_mac),
    }


@given(stacks, labels)
def test_every_name_is_one_file_name_that_libvirt_and_the_kernel_take(stack: str, machine: str) -> None:
    names = Names(stack)
    files = [names.pool, names.cluster_network, f"{names.domain(machine)}.console.log"]
    files += [names.volume(machine, kind) for kind in KINDS]
    for name in files:
        assert re.fullmatch(r"okd-[A-Za-z0-9_.-]+", name)
        assert len(name) <= 255
    assert len({names.cluster_bridge, names.uplink_bridge}) == 2
    assert all(re.fullmatch(r"okd[cu]-[0-9a-f]{8}", bridge) for bridge in (names.cluster_bridge, names.uplink_bridge))


@given(stacks, labels)
def test_a_derived_mac_is_stable_unicast_and_of_qemus_prefix(stack: str, name: str) -> None:
    derived = derived_mac(stack, name)
    assert derived == derived_mac(stack, name) == mac(derived)
    assert derived.startswith("52:54:00:")


def test_the_dev_stack_reads_as_expected() -> None:
    names = Names("dev")
    assert (names.pool, names.cluster_network, names.uplink_network) == ("okd-dev", "okd-dev-cluster", "okd-dev-uplink")
    assert names.domain("services") == "okd-dev-services"
    assert names.volume("compute-0", "root") == "okd-dev-compute-0-root"
    assert names.cluster_mac != names.uplink_mac
    assert Names("hard-way").domain("worker-0") == "okd-hard-way_worker-0"
