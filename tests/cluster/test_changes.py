"""Changes of an existing stack: what an installed cluster could not survive is refused, the rest is said in words."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from cluster import changes
from cluster.before import Before
from cluster.plan import Plan
from tests.cluster.conftest import Change, planned
from tests.cluster.state import IMAGE, outputs, resources, standing


def installed(change: Change) -> Plan:
    """The lab's stack, installed, with `change` planned."""
    return standing(planned("dev"), planned("dev", change))


def interrupted(change: Change) -> Plan:
    """The lab's stack after a first update that failed late, with `change` planned."""
    return standing(planned("dev"), planned("dev", change), installed=False)


def said(plan: Plan, image: str = IMAGE, domain_type: str = "qemu") -> list[str]:
    return changes.described(plan, image=lambda: image, domain_type=domain_type)


def machine(name: str, **keys: Any) -> Change:
    return lambda config: config["machines"][name].update(keys)


def pool(name: str, **keys: Any) -> Change:
    return lambda config: config["pools"][name].update(keys)


def cluster(**keys: str) -> Change:
    return section("cluster", **keys)


def section(where: str, **keys: Any) -> Change:
    return lambda config: config.setdefault(where, {}).update(keys)


def unchanged(config: dict[str, Any]) -> None:
    pass


def without(name: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        del config["machines"][name]

    return change


def renamed(old: str, new: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        config["machines"][new] = config["machines"].pop(old)

    return change


def five_control_plane_machines(config: dict[str, Any]) -> None:
    for number in (3, 4):
        config["machines"][f"control-plane-{number}"] = {"address": f"192.168.200.3{number}"}


def one_control_plane_machine(config: dict[str, Any]) -> None:
    for number in (1, 2):
        del config["machines"][f"control-plane-{number}"]


def control_plane_becomes_compute(config: dict[str, Any]) -> None:
    config["machines"]["control-plane-1"]["pool"] = "compute"
    config["machines"]["compute-0"]["pool"] = "control-plane"


def moved_network(config: dict[str, Any]) -> None:
    config["network"]["cidr"] = "192.168.200.0/23"


REFUSED: list[tuple[str, Change, dict[str, tuple[str, str]]]] = [
    (
        "added",
        five_control_plane_machines,
        {
            "machines.control-plane-3": ("etcd member", "pool of role compute"),
            "machines.control-plane-4": ("etcd member", "pool of role compute"),
        },
    ),
    (
        "removed",
        one_control_plane_machine,
        {
            "machines.control-plane-1": ("destroyed", "pool control-plane, address 192.168.200.31"),
            "machines.control-plane-2": ("destroyed", "pool control-plane, address 192.168.200.32"),
        },
    ),
    (
        "renamed",
        renamed("control-plane-2", "control-plane-9"),
        {"machines.control-plane-9": ("it was control-plane-2", "name it control-plane-2 again")},
    ),
    (
        "swapped with compute",
        control_plane_becomes_compute,
        {
            "machines.compute-0": ("etcd member", "pool of role compute"),
            "machines.control-plane-1": ("destroyed", "pool control-plane, address 192.168.200.31"),
        },
    ),
    (
        "new address",
        machine("control-plane-0", address="192.168.200.40"),
        {"machines.control-plane-0.address": ("192.168.200.30", "write 192.168.200.30 again")},
    ),
    (
        "new address of a compute machine",
        machine("compute-0", address="192.168.200.99"),
        {"machines.compute-0.address": ("joined the cluster as 192.168.200.20", "declare it with its new address")},
    ),
    (
        "the last compute machines removed",
        lambda config: [config["machines"].pop(name) for name in ("compute-0", "compute-1")],
        {"machines": ("neither ingress nor workloads", "keep at least one machine")},
    ),
    (
        "new root disk",
        machine("control-plane-0", diskGiB=3),
        {"machines.control-plane-0.diskGiB": ("lost", "write 2 again")},
    ),
    (
        "new root disks for the pool",
        pool("control-plane", diskGiB=9),
        {f"machines.control-plane-{number}.diskGiB": ("lost", "or in pool control-plane") for number in range(3)},
    ),
    ("new name", cluster(name="other"), {"cluster.name": ("okd.lab.example", "write okd again")}),
    ("new base domain", cluster(baseDomain="x.y"), {"cluster.baseDomain": ("okd.lab.example", "write lab.example")}),
    (
        "new name and base domain",
        cluster(name="other", baseDomain="x.y"),
        {"cluster.name": ("okd.lab.example", "write okd"), "cluster.baseDomain": ("okd.lab.example", "lab.example")},
    ),
    ("new cluster network", moved_network, {"network.cidr": ("192.168.200.0/24", "write 192.168.200.0/24 again")}),
    ("new MTU", section("network", mtu=1400), {"network.mtu": ("lose each other", "write 1500 again")}),
    (
        "services host renamed",
        section("services", name="infra"),
        {"services.name": ("services.okd.lab.example:5000", "write services again")},
    ),
    (
        "services host moved",
        section("services", address="192.168.200.253"),
        {"services.address": ("192.168.200.254", "write 192.168.200.254 again")},
    ),
    (
        "disks moved",
        section("hypervisor", poolPath="/srv/elsewhere"),
        {"hypervisor.poolPath": ("etcd's", "write /var/lib/libvirt/images/okd-dev again")},
    ),
    (
        "another registry volume",
        section("services", registryGiB=8),
        {"services.registryGiB": ("credentials", "write 4 again")},
    ),
]
ALLOWED: list[tuple[str, Change]] = [
    ("a compute machine is added", lambda config: config["machines"].update({"compute-2": {"address": "192.168.200.22"}})),
    ("a compute machine is removed", without("compute-1")),
    ("a compute machine is renamed", renamed("compute-1", "compute-7")),
    ("a compute machine gets a new disk and MAC", machine("compute-0", diskGiB=7, mac="52:54:00:00:00:01")),
    ("a control plane machine gets memory, processors and a MAC", machine("control-plane-0", memoryMiB=1024, cpus=2, mac="52:54:00:00:00:01")),
    ("the bootstrap machine gets another disk and address", machine("bootstrap", diskGiB=9, address="192.168.200.11")),
    ("settings of the installation", lambda config: config.update({"install": {"clusterNetwork": "10.64.0.0/14"}})),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_installed_cluster_is_kept_from_what_it_would_not_survive(
    change: Change, expected: dict[str, tuple[str, str]]
) -> None:
    problems = {problem.setting: problem for problem in changes.refused(installed(change))}
    assert problems.keys() == expected.keys()
    for setting, (harm, fix) in expected.items():
        assert harm in problems[setting].harm
        assert fix in problems[setting].fix


@pytest.mark.parametrize("change", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_before_the_installation_nothing_is_refused(change: Change) -> None:
    assert changes.refused(interrupted(change)) == []


def test_a_protected_volume_is_not_replaced_half_way_through_an_update() -> None:
    kept = interrupted(section("services", registryGiB=8, protectRegistry=True))
    assert [(one.setting, "protectRegistry to false" in one.fix) for one in changes.refused(kept)] == [
        ("services.registryGiB", True)
    ]


@pytest.mark.parametrize("change", [row[1] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_what_an_installed_cluster_survives_is_allowed(change: Change) -> None:
    assert changes.refused(installed(change)) == []


def test_a_new_stack_is_neither_refused_nor_described(dev: Plan) -> None:
    assert changes.refused(dev) == []
    assert said(dev) == []


def test_a_state_of_an_older_program_refuses_and_describes_only_what_it_knows() -> None:
    plan = installed(pool("control-plane", diskGiB=9))
    for row in plan.before.outputs["machines"]:
        del row["diskGiB"]
    for one in plan.before.resources:
        one["outputs"].pop("size", None)
    assert changes.refused(plan) == []
    assert said(plan) == []


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
@pytest.mark.parametrize("done", [True, False])
def test_the_same_settings_change_nothing(stack: str, done: bool) -> None:
    plan = standing(planned(stack), planned(stack), installed=done)
    assert changes.refused(plan) == []
    assert said(plan) == []


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
def test_the_same_settings_change_no_ingress_that_an_older_program_installed(stack: str) -> None:
    fresh = planned(stack)
    was = dataclasses.replace(fresh, before=Before(installed=True))
    told = {**outputs(was)["installation"]}
    del told["ingress"]
    before = Before.of({**outputs(was), "installation": told}, resources(was.after_bootstrap()))
    plan = dataclasses.replace(fresh, before=before)
    assert changes.refused(plan) == []
    assert said(plan) == []


def test_what_nodes_are_given_and_where_the_ingress_moves_is_said_in_words() -> None:
    def change(config: dict[str, Any]) -> None:
        config["pools"]["infra"] = {
            "labels": {"tier": "web", "example.com/a": ""},
            "taints": [{"key": "example.com/only", "effect": "NoSchedule"}],
        }
        config["machines"]["storage-0"]["pool"] = "compute"
        config["install"] = {"ingress": {"pool": "compute"}}

    words = said(standing(planned("hard-way"), planned("hard-way", change)))
    assert (
        "infra-0, infra-1 and infra-2: the Node gets label example.com/a, label node-role.kubernetes.io/infra, "
        "label tier=web and taint example.com/only:NoSchedule; nothing is rebuilt"
    ) in words
    assert "storage-0: the Node gets no label or taint of ours any more; nothing is rebuilt" in words
    moved = [one for one in words if one.startswith("install.ingress.pool infra -> compute: ")]
    assert len(moved) == 1
    assert "move to compute-0, compute-1, compute-2 and storage-0" in moved[0]
    assert not any("ingress-controller" in one for one in words)


def test_a_pool_that_an_older_program_installed_gets_its_role_by_the_next_update() -> None:
    was = planned("hard-way")
    plan = standing(was, was)
    stripped = []
    for one in plan.before.resources:
        text = str(one["outputs"].get("stdin", ""))
        if text.startswith("@okd-host node-join\n"):
            known = json.loads(text.partition("\n")[2])
            known.pop("node", None)
            one = {**one, "outputs": {**one["outputs"], "stdin": f"@okd-host node-join\n{json.dumps(known)}"}}
        stripped.append(one)
    plan = dataclasses.replace(plan, before=dataclasses.replace(plan.before, resources=tuple(stripped)))
    assert said(plan) == [
        f"{pool}-0, {pool}-1 and {pool}-2: the Node gets label node-role.kubernetes.io/{pool}; nothing is rebuilt"
        for pool in ("infra", "storage")
    ]


REDELIVERED = "delivered again: {}; each checked by its own daemon first, nothing is rebuilt for it"
PROFILES = "boot profiles count at the next boot from the network; a machine that is installed boots from its disk"
MEMBERS = REDELIVERED.format("dns (reloads), dhcp (reloads), boot and load-balancer (reloads)")
NEVER_AGAIN = (
    "read when a cluster is installed, and at no other time. Nothing of the running cluster changes by it; "
    "change it there with `oc`"
)
KEPT = "it gets a new root disk; the registry's volume, and the mirror on it, stays"
AGAIN = "Every service is delivered to it again; until then the cluster network has none"

DESCRIBED: list[tuple[str, Change, list[str], set[str]]] = [
    (
        "MAC",
        machine("compute-1", mac="52:54:00:00:00:01"),
        [
            REDELIVERED.format("dhcp (reloads) and boot"),
            PROFILES,
            "a MAC change rebuilds compute-1 and nothing else; its disks stay",
        ],
        {"compute-1-domain"},
    ),
    (
        "memory of a pool",
        pool("compute", memoryMiB=640),
        [
            "memoryMiB 512 -> 640 of pool compute: compute-0 then compute-1 are drained and rebuilt, one at a time; "
            "what is on their disks stays"
        ],
        {"compute-0-domain", "compute-1-domain"},
    ),
    (
        "memory and processors of a pool",
        pool("compute", memoryMiB=640, cpus=2),
        [
            "cpus 1 -> 2 and memoryMiB 512 -> 640 of pool compute: compute-0 then compute-1 are drained and rebuilt, "
            "one at a time; what is on their disks stays"
        ],
        {"compute-0-domain", "compute-1-domain"},
    ),
    (
        "memory of one",
        machine("compute-1", memoryMiB=640),
        ["memoryMiB 512 -> 640 of compute-1: compute-1 is drained and rebuilt; what is on its disks stays"],
        {"compute-1-domain"},
    ),
    (
        "root disk",
        machine("compute-0", diskGiB=3),
        ["diskGiB 2 -> 3 of compute-0: compute-0 is drained and rebuilt; what is on the root disk is lost"],
        {"compute-0-domain", "compute-0-root"},
    ),
    (
        "extra disk",
        machine("compute-0", extraDisksGiB=[1]),
        ["extraDisksGiB [] -> [1] of compute-0: compute-0 is drained and rebuilt; what is on its disks stays"],
        {"compute-0-domain"},
    ),
    (
        "removed",
        without("compute-1"),
        [MEMBERS, PROFILES, "99-okd-ingress-controller.yaml: " + NEVER_AGAIN,
         "compute-1 is drained and leaves the cluster, then its domain and volumes are destroyed"],
        {"compute-1-domain", "compute-1-root"},
    ),
    (
        "added",
        lambda config: config["machines"].update({"compute-2": {"address": "192.168.200.22"}}),
        [MEMBERS, PROFILES, "compute-2 (compute, 192.168.200.22) is made and joins the cluster"],
        set(),
    ),
    (
        "moved to another pool",
        machine("compute-0", pool="infra", cpus=1, memoryMiB=512, diskGiB=2),
        [
            REDELIVERED.format("load-balancer (reloads)"),
            f"99-okd-pool-infra.yaml: {NEVER_AGAIN}",
            "compute-0 moves from pool compute to pool infra",
            "compute-0: the Node gets label node-role.kubernetes.io/infra; nothing is rebuilt",
        ],
        set(),
    ),
    (
        "memory of the services host",
        section("services", memoryMiB=3000),
        [f"the services host is rebuilt for services.memoryMiB 2048 -> 3000: its disks stay. {AGAIN}"],
        {"services-domain"},
    ),
    (
        "disk of the services host",
        section("services", diskGiB=8),
        [f"the services host is rebuilt for services.diskGiB 6 -> 8: {KEPT}. {AGAIN}"],
        {"services-domain", "services-root"},
    ),
    (
        "resolvers",
        section("uplink", resolvers=["10.0.0.53"]),
        [f"the services host is rebuilt for uplink.resolvers none -> 10.0.0.53: {KEPT}. {AGAIN}"],
        {"services-domain", "services-root", "services-seed"},
    ),
    (
        "network of the uplink",
        section("uplink", cidr="192.168.126.0/24"),
        [
            "uplink.cidr 192.168.125.0/24 -> 192.168.126.0/24: the uplink's NAT network is made anew",
            "the services host is rebuilt for uplink.cidr 192.168.125.0/24 -> 192.168.126.0/24, "
            "uplink.address 192.168.125.10/24 -> 192.168.126.10/24 and "
            f"uplink.gateway 192.168.125.1 -> 192.168.126.1: {KEPT}. {AGAIN}",
        ],
        {"network-uplink", "services-domain", "services-root", "services-seed"},
    ),
    (
        "bridge of the uplink",
        section("uplink", bridge="br0", address="192.168.125.10", gateway="192.168.125.1"),
        [
            "uplink.bridge br0: the NAT network 192.168.125.0/24 is removed",
            f"the services host is rebuilt for uplink.bridge br0: its disks stay. {AGAIN}",
        ],
        {"network-uplink", "services-domain"},
    ),
    (
        "exposed ports",
        section("uplink", expose=[6443, 443]),
        [REDELIVERED.format("firewall (reloads) and load-balancer (reloads)")],
        set(),
    ),
    ("time servers", section("uplink", timeServers=["10.0.0.1"]), [REDELIVERED.format("time (reloads)")], set()),
    (
        "kernel arguments",
        machine("compute-0", kernelArguments=["a=b"]),
        [REDELIVERED.format("boot"), PROFILES],
        set(),
    ),
    (
        "release",
        lambda config: config["release"].update(image="198.51.100.1:5000/okd/scos-release:4.19.0-okd-scos.1"),
        [
            "release 4.19.0-okd-scos.0 -> 4.19.0-okd-scos.1: mirrored beside what the registry holds, with its tools; "
            "the running cluster is not upgraded by it"
        ],
        set(),
    ),
    (
        "more images",
        lambda config: config["release"].update(additionalImages=[f"quay.io/a/b@sha256:{'a' * 64}"]),
        [
            "what is mirrored changes (images): what is missing is added, nothing is removed",
            f"install-config.yaml: {NEVER_AGAIN}",
        ],
        set(),
    ),
    (
        "boot image",
        lambda config: config["bootImage"].update(
            {name: {"location": f"http://198.51.100.1/{name}", "sha256": "1" * 64} for name in ("kernel", "initramfs")}
        ),
        [
            REDELIVERED.format("boot"),
            PROFILES,
            "bootImage: fetched again; a machine that is installed does not read it any more",
        ],
        set(),
    ),
    (
        "the installation",
        section("install", clusterNetwork="10.64.0.0/14"),
        [f"install-config.yaml: {NEVER_AGAIN}"],
        set(),
    ),
    (
        "another libvirt host",
        section("hypervisor", uri="qemu+ssh://root@a.example/system"),
        [
            "hypervisor.uri qemu:///system -> qemu+ssh://root@a.example/system: nothing moves; what stands is looked for "
            "there under the same names and ids, so it has to be another way to the same libvirt host"
        ],
        set(),
    ),
    ("limits of waiting", section("install", limits={"nodeMinutes": 50}), [], set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "lines", "replaced"), [row[1:] for row in DESCRIBED], ids=[row[0] for row in DESCRIBED]
)
def test_a_change_is_said_in_words_and_nothing_else_is(change: Change, lines: list[str], replaced: set[str]) -> None:
    plan = installed(change)
    assert said(plan) == lines
    assert set().union(*(one.replaces for one in changes.effects(plan, image=lambda: IMAGE))) == replaced


def test_another_image_rebuilds_the_services_host_and_keeps_the_mirror() -> None:
    assert said(installed(unchanged), image="1" * 64) == [
        f"the services host is rebuilt for services.image (other content): {KEPT}. {AGAIN}"
    ]


def test_another_kind_of_virtualization_rebuilds_every_domain() -> None:
    plan = installed(unchanged)
    lines = said(plan, domain_type="kvm")
    assert lines[0].startswith("hypervisor.accelerator qemu -> kvm: every machine's domain is made anew")
    assert lines[1].startswith("the services host is rebuilt for hypervisor.accelerator qemu -> kvm: its disks stay")
    (every, _) = changes.effects(plan, domain_type="kvm")
    assert {f"{one.name}-domain" for one in plan.members} | {"services-domain"} == every.replaces


EARLY: list[tuple[str, Change, list[str]]] = [
    ("sizes", pool("compute", memoryMiB=640),
     ["memoryMiB 512 -> 640 of pool compute: compute-0 then compute-1 are rebuilt; what is on their disks stays"]),
    ("removed", without("compute-1"), ["compute-1: its domain and volumes are destroyed"]),
    ("address", machine("compute-0", address="192.168.200.99"),
     ["compute-0 moves from 192.168.200.20 to 192.168.200.99: its lease, records and back ends with it; nothing is rebuilt"]),
    ("address of the bootstrap", machine("bootstrap", address="192.168.200.99"),
     ["bootstrap moves from 192.168.200.10 to 192.168.200.99: its lease, records and back ends with it; nothing is rebuilt"]),
    ("role", control_plane_becomes_compute,
     ["control-plane-1 becomes compute in place of control-plane, and is not rebuilt for it: a disk that is installed "
      "already keeps what is on it, unless `pulumi up --replace '**::control-plane-1-root'` empties it"]),
    ("MTU", section("network", mtu=1400),
     ["network.mtu 1500 -> 1400: the cluster network is made anew, and with it the domain of every machine on it; their "
      "disks stay", f"the services host is rebuilt for network.mtu 1500 -> 1400: {KEPT}. {AGAIN}"]),
    ("registry volume", section("services", registryGiB=8),
     ["services.registryGiB 4 -> 8: the registry's volume is made anew and empty; the release is mirrored into it again"]),
    ("release", lambda config: config["release"].update(image="198.51.100.1:5000/okd/scos-release:4.19.0-okd-scos.1"),
     ["release 4.19.0-okd-scos.0 -> 4.19.0-okd-scos.1: mirrored beside what the registry holds, with its tools; "
      "machines are installed from it then"]),
    ("the installation", section("install", clusterNetwork="10.64.0.0/14"),
     ["install-config.yaml: the ignition configs are made anew; a machine that is installed already is not rebuilt"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "lines"), [row[1:] for row in EARLY], ids=[row[0] for row in EARLY])
def test_before_the_installation_nothing_is_drained_and_more_may_change(change: Change, lines: list[str]) -> None:
    told = said(interrupted(change))
    assert [line for line in told if line in lines] == lines
    assert not any("drained" in line for line in told)


def test_what_a_failed_update_left_unmade_is_made() -> None:
    plan = interrupted(unchanged)
    left = [one for one in plan.before.resources if "compute-1" not in one["urn"]]
    halfway = standing(planned("dev"), planned("dev"), installed=False)
    object.__setattr__(halfway.before, "resources", tuple(left))
    assert said(halfway) == ["compute-1 (compute, 192.168.200.21) is made"]


def test_the_bootstrap_of_an_installed_cluster_is_removed_by_the_next_update_and_never_made_again() -> None:
    plan = installed(machine("bootstrap", memoryMiB=1024))
    assert said(plan) == []
    there = [*plan.before.resources, *(one for one in resources(planned("dev")) if "bootstrap-" in one["urn"])]
    object.__setattr__(plan.before, "resources", tuple(there))
    assert said(plan) == ["bootstrap has done its work: its domain and volumes are removed"]


def test_catalog_sources_are_the_one_manifest_that_a_running_cluster_is_told_later() -> None:
    was = planned("dev", section("install", defaultCatalogSources="default"))
    told = said(standing(was, planned("dev")))
    assert told[-1] == "install.defaultCatalogSources: the default catalog sources of the running cluster are disabled"


def test_machines_are_described_in_their_numbers_order() -> None:
    def twelve(config: dict[str, Any]) -> None:
        config["machines"] |= {
            f"compute-{number}": {"address": f"192.168.200.{60 + number}"} for number in range(2, 12)
        }

    removed = [line for line in said(standing(planned("dev", twelve), planned("dev"))) if "leaves" in line]
    assert [line.split()[0] for line in removed] == [f"compute-{number}" for number in range(2, 12)]
