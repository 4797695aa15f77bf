"""Whatever good settings say, the plan is whole; whatever is wrong in them is named, and nothing else is."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster import boot, dhcp, dns, load_balancer
from cluster.names import derived_mac
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from tests.cluster.mistakes import Config, put
from tests.cluster.test_reference import faults

STACK = "generated"
TAKEN = {"api", "api-int", "services", "ns", "dns", "apps", "localhost", "bootstrap"}
bounded = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
labels = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda name: name not in TAKEN)
macs = st.binary(min_size=3, max_size=3).map(lambda tail: f"f8:75:a4:{tail[0]:02X}:{tail[1]:02x}:{tail[2]:02X}")
RELEASES = ("4.22.0-okd-scos.7", "4.19.0-okd-scos.0", "4.16.0-okd-scos.1", "4.15.0-0.okd-2024-03-10-010116")


@st.composite
def good_settings(draw: st.DrawFn) -> Config:
    """Settings of a stack that can be built."""
    names = ["bootstrap", *(f"control-plane-{n}" for n in range(draw(st.sampled_from([1, 3, 5]))))]
    own = draw(st.lists(labels, max_size=4, unique=True).filter(lambda found: not {"control-plane"} & set(found)))
    names += [*(f"compute-{n}" for n in range(draw(st.integers(0, 4)))), *own]
    bits = draw(st.integers(5, 16))
    block = draw(st.sampled_from([IPv4Network("192.168.0.0/16"), IPv4Network("172.20.0.0/16")]))
    network = IPv4Network((int(block[0]) + (draw(st.integers(0, 2**16 - 1)) >> bits << bits), 32 - bits))
    places = draw(st.lists(st.integers(1, 2**bits - 3), min_size=len(names), max_size=len(names), unique=True))
    cards = draw(
        st.lists(st.none() | macs, min_size=len(names), max_size=len(names), unique_by=lambda one: one or object())
    )
    machines = {
        name: {"address": str(network[place])}
        | ({"mac": card} if card else {})
        | ({"pool": draw(st.sampled_from(["compute", "infra", "storage"]))} if name in own else {})
        for name, place, card in zip(names, places, cards, strict=True)
    }
    bridge = {"bridge": "br0", "cidr": "10.20.0.0/24", "address": "10.20.0.40", "gateway": "10.20.0.1"}
    return {
        "cluster": {"name": draw(labels), "baseDomain": draw(st.sampled_from(["example.com", "a.b.example.org"]))},
        "network": {"cidr": str(network), "mtu": draw(st.integers(1380, 9216))},
        "uplink": {
            "resolvers": draw(st.sampled_from([[], ["10.9.9.9"]])),
            "expose": draw(st.lists(st.sampled_from([443, 80, 6443]), unique=True)),
        } | draw(st.sampled_from([{}, bridge])),
        "services": {
            "image": {"location": "/srv/debian-12.qcow2"},
            "protectRegistry": draw(st.booleans()),
            "operatingSystem": "debian-12",
        },
        "pools": {"control-plane": {"cpus": 8}},
        "machines": dict(draw(st.permutations(list(machines.items())))),
        "release": {"version": draw(st.sampled_from(RELEASES))},
    }  # fmt: skip


@bounded
@given(good_settings())
def test_the_plan_of_good_settings_is_whole(config: Config) -> None:
    before = copy.deepcopy(config)
    plan = Plan.of(Settings.parse(config, STACK))
    assert config == before
    assert faults(config) == []
    machines = {machine.name: machine for machine in plan.machines}
    assert set(machines) == set(config["machines"])
    uplink = plan.settings.uplink
    for values in (
        [plan.services_address, plan.probe_address, *(one.address for one in plan.machines)],
        [derived_mac(STACK, "services/cluster"), *(one.mac for one in plan.machines)],
        [plan.services_fqdn, *(one.fqdn for one in plan.machines)],
        [uplink.address, uplink.gateway],
    ):
        assert len(set(values)) == len(values)
    assert all(machine.address in plan.network for machine in plan.machines)
    assert uplink.address in uplink.cidr
    assert not uplink.cidr.overlaps(plan.network)
    assert all(len(machine.fqdn) <= 63 for machine in plan.machines)
    leases = dhcp.configuration(plan)["Dhcp4"]["subnet4"][0]["reservations"]
    assert {row["hw-address"]: row["ip-address"] for row in leases} == {
        one.mac: str(one.address) for one in plan.machines
    }
    records = {(record.name, record.type): record.value for record in dns.records(plan)}
    for machine in plan.machines:
        assert records[machine.fqdn, "A"] == str(machine.address)
        assert records[machine.address.reverse_pointer, "PTR"] == machine.fqdn
        assert f"pxelinux.cfg/01-{machine.mac_hyphens}" in boot.tftp_paths(plan)
        assert f"/boot/mac-{machine.mac_hyphens}.ipxe" in boot.script_paths(plan)
    text = next(file.text or "" for file in load_balancer.bundle(plan).files if file.path.endswith("haproxy.cfg"))
    for machine in plan.of_role("control-plane"):
        assert f"{machine.address}:6443" in text


@dataclass(frozen=True)
class Corruption:
    """One thing made wrong: what is put where, and the setting that the report names.

    A problem of relations is not looked at while one of `needs` is malformed.
    """

    path: str
    value: Any
    setting: str
    needs: tuple[str, ...] = ()


FORMS: dict[str, list[Any]] = {
    "cluster.baseDomain": ["exa_mple.com", "10.0.0.1", "*.example.com", 7, "", None],
    "cluster.name": ["Okd", "a.b", "-", 12, []],
    "hypervisor.uri": ["localhost", "qemu://system", "qemu:///session", 3],
    "hypervisor.accelerator": ["KVM", True, ""],
    "hypervisor.poolPath": ["images", "/", "/a/../b", 1],
    "network.mtu": [-1, 99999, "1500", 1500.5, True],
    "network.cidr": ["example", "10.0.0.0", "10.0.0.7/24", "10.0.0.0/33", "fd00::/64", 10],
    "network.router": ["router", "10.0.0.1/24", {}],
    "uplink.cidr": ["uplink", "10.0.0.1/8", 1.5],
    "uplink.expose": [443, "443", {}],
    "services.cpus": ["2", 0, 1.5, None],
    "services.memoryMiB": ["4G", 2, []],
    "services.protectRegistry": ["yes", 1],
    "services.operatingSystem": ["debian", "fedora-42"],
    "services.image.sha256": ["abc", 12],
    "services.sha256": ["9" * 64],
    "pools.infra.extraDisksGiB": [100, "100"],
    "pools.infra.diskGiB": ["120G", 0],
    "pools.infra.memoryMb": [4096],
    "release.digest": ["9" * 64, "latest"],
    "release.attempts": ["5", 0, 51],
    "release.engine": ["skopeo", 1],
    "release.pullSecret": ["{", '{"auths": {}}', {}],
    "release.client.sha256": ["x"],
    "install.hostPrefix": ["23", 29],
    "install.chrony": ["true", 0],
    "install.sourcePolicy": ["Never", 1],
    "install.sshKeys": ["ssh-ed25519 AAAA", 5],
    "install.limits.bootMinutes": [0, "20", 1441],
    "install.adminUser.name": ["kubeadmin", "a:b"],
    "checks.hostDisk": ["no", True],
    "netwrok": [{}],
    "machines.bootstrap.mac": ["01:00:00:00:00:01", "fe:00:00:00:00:01", "nonsense", 5],
    "machines.bootstrap.cpu": [4],
    "machines.control-plane-0.address": ["oops", "192.168.200.30/24", 192],
    "machines.control-plane-0.kernelArguments": ["quiet", {}],
}  # fmt: skip
RELATIONS = [
    Corruption("network.mtu", 1379, "network.mtu"),
    Corruption("machines.bootstrap.address", "8.8.8.8", "machines.bootstrap.address", ("network.cidr",)),
    Corruption("machines.bootstrap.mac", derived_mac(STACK, "services/cluster"), "machines.bootstrap.mac"),
    Corruption("machines.localhost", {"pool": "compute"}, "machines.localhost"),
    Corruption("machines.extra-1", {"pool": "compte"}, "machines.extra-1.pool"),
    Corruption("cluster.baseDomain", "apps.example.com", "cluster.baseDomain"),
    Corruption("services.registryGiB", 10, "services.registryGiB"),
    Corruption("pools.control-plane.memoryMiB", 4096, "pools.control-plane.memoryMiB"),
    Corruption("uplink.timeServers", ["127.0.0.1"], "uplink.timeServers[0]", ("uplink.cidr", "uplink.bridge")),
    Corruption("bootImage", {"kernelArguments": ["ip=dhcp"]}, "bootImage.kernelArguments[0]"),
    Corruption("install.serviceNetwork", "127.0.0.0/16", "install.serviceNetwork"),
    Corruption("install.proxy", {"noProxy": ["*"]}, "install.proxy"),
    Corruption("release.operatorCatalogs", [{"catalog": "quay.io/x/y:1"}], "release.operatorCatalogs", ("release.engine",)),
]  # fmt: skip
REQUIRED = {"cluster.baseDomain"}


def applied(config: Config, corruption: Corruption) -> None:
    """Make one thing wrong; a machine that is added gets an address that nobody has."""
    value = copy.deepcopy(corruption.value)
    if isinstance(value, dict) and "pool" in value:
        cidr = IPv4Network(config["network"]["cidr"])
        used = {machine["address"] for machine in config["machines"].values()}
        value["address"] = next(str(one) for one in cidr.hosts() if str(one) not in {*used, str(cidr[-2])})
    put(corruption.path, value)(config)


forms = st.sampled_from(
    [
        Corruption(path, value, path)
        for path, values in FORMS.items()
        for value in values
        if value is not None or path in REQUIRED
    ]
)
corruptions = forms | st.sampled_from(RELATIONS)


def reported(config: Config) -> set[str]:
    """The settings that the report names."""
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config, STACK)
    assert all(one.setting and one.harm and one.fix for one in caught.value.problems)
    return {problem.setting for problem in caught.value.problems}


@bounded
@given(good_settings(), corruptions)
def test_one_thing_wrong_is_named_and_nothing_else(config: Config, corruption: Corruption) -> None:
    applied(config, corruption)
    assert reported(config) == {corruption.setting}


@bounded
@given(good_settings(), st.lists(corruptions, min_size=2, max_size=6, unique_by=lambda one: one.path))
def test_several_things_wrong_are_all_named(config: Config, several: list[Corruption]) -> None:
    for corruption in sorted(several, key=lambda one: one.path == "network.cidr"):  # an address is found in it first
        applied(config, corruption)
    malformed = {one.path for one in several if one not in RELATIONS}
    found = reported(config)
    expected = {one.setting for one in several}
    unseen = {one.setting for one in several if set(one.needs) & malformed}
    assert expected - unseen <= found <= expected
