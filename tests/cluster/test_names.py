"""Names of two stacks, or of two machines, never collide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.names import Names, derived_mac
from cluster.values import mac

stacks = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.tuples(stacks, labels), st.tuples(stacks, labels))
def test_no_two_machines_share_a_domain_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    same = Names(one[0]).domain(one[1]) == Names(other[0]).domain(other[1])
    assert same == (one == other)


def test_a_hyphen_in_the_stack_is_not_one_in_the_machine() -> None:
    assert Names("dev").domain("control-plane-0") != Names("dev-control").domain("plane-0")


@given(stacks)
def test_bridges_fit_an_interface_name(stack: str) -> None:
    names = Names(stack)
    assert len({names.cluster_bridge, names.uplink_bridge}) == 2
    assert all(len(bridge) <= 15 for bridge in (names.cluster_bridge, names.uplink_bridge))


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
