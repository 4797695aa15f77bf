"""Findings: each from one fact about the libvirt host that differs from a host on which all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from cluster import footprint, preflight
from cluster.before import Before
from cluster.plan import Plan
from cluster.preflight.facts import (
    Directory,
    Domain,
    Here,
    HostFacts,
    Image,
    Link,
    Network,
    Nic,
    Pool,
    Processors,
    Route,
)
from tests.cluster.conftest import Change, planned

GIB = 1024**3
KVM = Processors("x86_64", frozenset({"qemu", "kvm"}), virtual=False)
EMULATES = Processors("x86_64", frozenset({"qemu"}), virtual=True)
LAN = Route(IPv4Network("10.9.0.0/16"), "eth0")
HERE = Here(
    links=(Link("lo"), Link("eth0"), Link("br0", bridge=True)),
    routes=(LAN,),
    addresses=frozenset({IPv4Address("10.9.0.5")}),
    directory=Directory("/var/lib/libvirt/images", free=5000 * GIB, files=frozenset()),
)
FREE = HostFacts(
    processors=KVM,
    cpus=64,
    memory_free_mib=400_000,
    domains=(),
    networks=(Network("default", "d" * 8, bridge="virbr0", subnets=(IPv4Network("192.168.122.0/24"),)),),
    pools=(Pool("default", "p" * 8, path="/var/lib/libvirt/images", free=5000 * GIB),),
    volumes=None,
    here=HERE,
)


def new(change: Change = lambda config: None) -> Plan:
    """A stack that nothing was made of: the fourteen machines."""
    return planned("hard-way", change)


def standing(plan: Plan) -> tuple[Plan, HostFacts]:
    """The plan on a state that holds all of it, and a host where all of it is there and runs."""
    names, uplink = plan.names, plan.settings.uplink
    domains = {name: f"uuid-{name}" for name in footprint.domains(plan)}
    networks = {
        names.cluster_network: (names.cluster_bridge, ()),
        names.uplink_network: (names.uplink_bridge, (uplink.cidr,)),
    }
    if uplink.bridge is not None:
        del networks[names.uplink_network]
    resources: list[dict[str, Any]] = [
        _resource("domain:Domain", name, f"uuid-{name}", vcpu=float(size.cpus), memory=float(size.memory_mib))
        for name, size in footprint.domains(plan).items()
    ]
    resources += [
        _resource("network:Network", name, f"uuid-{name}", addresses=[str(one) for one in subnets])
        for name, (_, subnets) in networks.items()
    ]
    resources.append(_resource("pool:Pool", names.pool, "uuid-pool"))
    resources += [
        _resource("volume:Volume", name, f"/pool/{name}", size=float(size * GIB))
        if size
        else _resource("cloudInitDisk:CloudInitDisk", name, f"/pool/{name}")
        for name, size in footprint.volumes(plan).items()
    ]
    base = f"{names.domain(plan.settings.services.name)}-base-0123456789ab"
    resources.append(_resource("volume:Volume", base, f"/pool/{base}", size=2.0 * GIB))
    facts = replace(
        FREE,
        domains=tuple(Domain(name, uuid, True, 16384, 8000) for name, uuid in domains.items()),
        networks=(
            *(FREE.networks or ()),
            *(Network(name, f"uuid-{name}", True, bridge, subnets) for name, (bridge, subnets) in networks.items()),
        ),
        pools=(
            *(FREE.pools or ()),
            Pool(names.pool, "uuid-pool", path=str(plan.settings.hypervisor.pool_path), free=5000 * GIB),
        ),
        volumes=frozenset({*footprint.volumes(plan), base}),
        here=replace(
            HERE,
            links=(*(HERE.links or ()), *(Link(bridge, bridge=True) for bridge, _ in networks.values())),
            routes=(LAN, Route(uplink.cidr, names.uplink_bridge)),
        ),
    )
    return replace(plan, before=Before.of({}, resources)), facts


def _resource(kind: str, name: str, identity: str, **outputs: Any) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:hard-way::okd-libvirt::libvirt:index/{kind}::{name}",
        "type": f"libvirt:index/{kind}",
        "outputs": {"name": name, "id": identity, **outputs},
    }


def refused(plan: Plan, facts: HostFacts) -> str:
    """The only finding, which must be a refusal."""
    found = preflight.findings(plan, facts)
    assert not found.warned, found.warned
    assert len(found.refused) == 1, [str(one) for one in found.refused]
    return str(found.refused[0])


def warned(plan: Plan, facts: HostFacts) -> str:
    """The only finding, which must be a warning."""
    found = preflight.findings(plan, facts)
    assert not found.refused, [str(one) for one in found.refused]
    assert len(found.warned) == 1, [str(one) for one in found.warned]
    return str(found.warned[0])


def silent(plan: Plan, facts: HostFacts) -> bool:
    return preflight.findings(plan, facts) == preflight.Findings()


# A host on which all is well, and one of which nothing could be learned.


def test_a_new_stack_on_a_free_host_has_no_finding() -> None:
    assert silent(new(), FREE)


def test_what_could_not_be_learned_gives_no_finding() -> None:
    assert silent(new(), HostFacts())
    assert silent(new(), HostFacts(here=Here()))
    assert silent(standing(new())[0], HostFacts())


def test_a_stack_that_stands_has_no_finding() -> None:
    assert silent(*standing(new()))
    assert silent(*standing(planned("prod")))


def test_a_stack_that_stands_needs_no_room() -> None:
    plan, facts = standing(new())
    full = replace(
        facts,
        processors=EMULATES,
        cpus=1,
        memory_free_mib=0,
        here=replace(facts.here or Here(), directory=Directory("/p", free=0)),
    )
    assert silent(plan, full)


def test_a_stack_that_was_stopped_has_no_finding() -> None:
    plan, facts = standing(new())
    off = tuple(replace(one, active=False, resident_mib=None) for one in facts.domains or ())
    assert silent(plan, replace(facts, domains=off))


def test_the_update_that_removes_the_bootstrap_has_no_finding() -> None:
    plan, facts = standing(new())
    assert plan.bootstrap_machines
    assert silent(replace(plan, before=replace(plan.before, bootstrapped=True)), facts)


def test_a_destroyed_stack_with_its_protected_volume_has_no_finding() -> None:
    plan, facts = standing(new())
    left = [one for one in plan.before.resources if one["type"].endswith(":Pool") or "registry" in one["urn"]]
    assert len(left) == 2
    assert silent(
        replace(plan, before=Before.of({}, left)),
        replace(
            FREE,
            pools=facts.pools,
            volumes=frozenset({footprint.registry_volume(plan)}),
        ),
    )


# This machine and the way to libvirt.


@pytest.mark.parametrize(
    ("program", "packages"),
    [
        ("virsh", "apt-get install libvirt-clients (Fedora: dnf install libvirt-client)"),
        ("mkisofs", "apt-get install genisoimage (Fedora: dnf install xorriso)"),
        ("xsltproc", "apt-get install xsltproc (Fedora: dnf install libxslt)"),
        ("ssh", "apt-get install openssh-client (Fedora: dnf install openssh-clients)"),
    ],
)
def test_a_missing_program_is_named_with_its_packages(program: str, packages: str) -> None:
    text = refused(new(), replace(FREE, missing=(program,)))
    assert text.startswith(f"program {program}\n")
    assert packages in text


REFUSALS = {
    "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory": "no libvirt runs on",
    "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied": "usermod -aG libvirt",
    "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'": (
        "this user may not use libvirt"
    ),
    "Cannot recv data: Host key verification failed.: Connection reset by peer": "compare the fingerprint",
    "Cannot recv data: root@lab: Permission denied (publickey,password).: Connection reset by peer": "ssh-copy-id",
    "Cannot recv data: ssh: Could not resolve hostname nosuch.invalid: Name or service not known": "there is no host",
    "Cannot recv data: ssh: connect to host 10.0.0.9 port 22: Connection refused: Connection reset": "does not answer",
    "Cannot recv data: ssh: connect to host 10.0.0.9 port 22: No route to host": "does not answer",
    "Cannot recv data: bash: line 1: virt-ssh-helper: command not found": "no libvirt runs on",
    "unable to connect to server at '127.0.0.1:1': Connection refused": "does not answer",
    "it did not answer within 60 s": "does not answer",
    "Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory": "qemu+ssh",
    "no connection driver available for foo:///system": "does not understand the URI",
    "internal error: unexpected QEMU URI path '/sytem', try qemu:///system": "does not understand the URI",
    "something that nobody has seen yet": "uri` must work",
}


@pytest.mark.parametrize(("said", "told"), REFUSALS.items())
def test_each_reason_why_libvirt_does_not_answer_has_its_own_message(said: str, told: str) -> None:
    text = refused(new(), HostFacts(refusal=f"error: {said}"))
    assert text.startswith("hypervisor.uri = qemu:///system\n")
    assert told in text
    assert f"({said})" in text


def test_a_password_in_the_uri_is_not_shown() -> None:
    for password in ("hunter2", "a/hunter2", "a@hunter2", "a:hunter2?#"):
        said = f"error: cannot connect to 'qemu+ssh://somebody:{password}@kvm.example.com/system'"
        text = refused(new(), HostFacts(refusal=said))
        assert "hunter2" not in text
        assert "somebody:…@kvm.example.com/system" in text


def test_an_image_that_cannot_be_used_is_refused() -> None:
    text = refused(new(), replace(FREE, image=Image(wrong="it is compressed")))
    assert text.startswith("services.image.location = ")
    assert "it is compressed" in text


def test_an_image_that_does_not_fit_on_the_services_hosts_disk_is_refused() -> None:
    size = planned("hard-way").settings.services.disk_gib
    assert silent(new(), replace(FREE, image=Image(form="raw", size=size * GIB)))
    text = refused(new(), replace(FREE, image=Image(form="raw", size=size * GIB + 1)))
    assert text.startswith(f"services.diskGiB = {size}\n")
    assert f"write {size + 1} or more" in text


def test_an_images_server_that_does_not_answer_is_warned_about_and_its_password_not_shown() -> None:
    def at(config: dict[str, Any]) -> None:
        config["services"]["image"] = {"location": "https://files.example.com/debian.raw"}

    text = warned(new(at), replace(FREE, image=Image(silent="Name or service not known")))
    assert "(Name or service not known)" in text
    assert "taken for raw" in text


@pytest.mark.parametrize(
    ("location", "seen", "form"),
    [
        ("https://files.example.com/debian.raw", Image(), "raw"),
        ("https://files.example.com/debian.RAW?x=1", Image(silent="gone"), "raw"),
        ("https://files.example.com/debian.qcow2", Image(), "qcow2"),
        ("https://files.example.com/latest", Image(), "qcow2"),
        ("https://files.example.com/latest", Image(form="raw"), "raw"),
        ("https://files.example.com/debian.raw", Image(form="qcow2"), "qcow2"),
    ],
)
def test_an_image_has_the_form_that_was_seen_or_else_its_names(location: str, seen: Image, form: str) -> None:
    plan = new(lambda config: config["services"].update(image={"location": location}))
    assert preflight.image_form(plan, replace(FREE, image=seen), "base") == form


def test_an_image_that_is_in_the_pool_keeps_its_form() -> None:
    plan, facts = standing(new())
    (base,) = (name for name in facts.volumes or () if "-base-" in name)
    stood = [one | {"outputs": {**one["outputs"], "format": "raw"}} for one in plan.before.resources]
    before = replace(plan, before=Before.of({}, stood))
    assert preflight.image_form(before, replace(facts, image=Image(form="qcow2")), base) == "raw"


# Processors.


def test_auto_takes_kvm_where_it_is_offered() -> None:
    assert preflight.domain_type(new(), FREE) == "kvm"
    assert preflight.domain_type(new(), replace(FREE, processors=EMULATES)) == "qemu"
    assert preflight.domain_type(planned("prod"), replace(FREE, processors=EMULATES)) == "kvm"


def accelerated(wanted: str) -> Plan:
    return new(lambda config: config.update(hypervisor={"accelerator": wanted}))


def test_emulation_is_warned_about_unless_it_was_asked_for() -> None:
    emulating = replace(FREE, processors=EMULATES)
    assert "without nested virtualization" in warned(new(), emulating)
    assert silent(accelerated("qemu"), emulating)
    bare = replace(FREE, processors=replace(EMULATES, virtual=False))
    assert "has no KVM" in warned(new(), bare)


def test_kvm_that_was_asked_for_and_is_missing_is_refused() -> None:
    text = refused(accelerated("kvm"), replace(FREE, processors=EMULATES))
    assert text.startswith("hypervisor.accelerator = kvm\n")
    assert "nested=1" in text


def test_a_host_that_offers_neither_machine_type_is_refused() -> None:
    text = refused(new(), replace(FREE, processors=replace(KVM, machines=frozenset({"microvm"}))))
    assert "offers neither q35 nor pc machines" in text
    for machines in ({"q35", "pc-q35-rhel10.0.0"}, {"pc", "q35"}, {"pc"}):
        assert silent(new(), replace(FREE, processors=replace(KVM, machines=frozenset(machines))))


def test_a_host_that_runs_no_machines_is_refused() -> None:
    text = refused(new(), replace(FREE, processors=replace(KVM, domain_types=frozenset({"xen"}))))
    assert "qemu-system-x86" in text


def test_a_host_of_another_architecture_is_refused() -> None:
    text = refused(new(), replace(FREE, processors=replace(KVM, architecture="aarch64")))
    assert text.startswith("release.architecture = x86_64\n")
    assert "take a libvirt host of x86_64" in text
    assert "write aarch64" not in text


def test_a_machine_with_more_cpus_than_the_host_is_warned_about_by_name() -> None:
    def many(config: dict[str, Any]) -> None:
        config["machines"]["infra-1"]["cpus"] = 128

    assert warned(new(many), FREE).startswith("cpus of infra-1 = 128\n")


# Memory and disk.


def with_check(**checks: str) -> Plan:
    return new(lambda config: config.update(checks={**config.get("checks", {}), **checks}))


def test_memory_beyond_the_hosts_is_refused_or_warned_about_or_ignored() -> None:
    needed = footprint.memory_mib(new())
    enough = replace(FREE, memory_free_mib=needed)
    assert silent(new(), enough)
    short = replace(FREE, memory_free_mib=needed - 1)
    assert f"{needed} MiB" in refused(new(), short)
    assert f"{needed} MiB" in warned(with_check(hostMemory="warn"), short)
    assert silent(with_check(hostMemory="ignore"), short)


def test_bootstrap_and_compute_machines_never_run_at_once() -> None:
    plan = new()
    total = sum(one.memory_mib for one in footprint.domains(plan).values())
    bootstrap = plan.of_role("bootstrap")[0].memory_mib
    assert footprint.memory_mib(plan) == total - bootstrap
    alone = new(lambda config: [config["machines"].pop(name) for name in list(config["machines"]) if _late(name)])
    assert footprint.memory_mib(alone) == sum(one.memory_mib for one in footprint.domains(alone).values())


def _late(name: str) -> bool:
    return name.startswith(("compute", "infra", "storage"))


def test_what_the_stacks_own_running_machines_take_counts_as_free() -> None:
    plan, facts = standing(new())
    larger = replace(
        standing(new(lambda config: config["machines"].update({"compute-9": {"address": "192.168.200.29"}})))[0],
        before=plan.before,
    )
    needed, taken = footprint.memory_mib(larger), sum(one.resident_mib or 0 for one in facts.domains or ())
    assert silent(larger, replace(facts, memory_free_mib=needed - taken))
    assert "memory of all machines" in refused(larger, replace(facts, memory_free_mib=needed - taken - 1))


def test_volumes_beyond_the_free_space_are_warned_about_or_refused_or_ignored() -> None:
    needed = sum(footprint.volumes(new()).values())

    def free(gib: int) -> HostFacts:
        return replace(FREE, here=replace(HERE, directory=Directory("/p", free=gib * GIB)))

    assert silent(new(), free(needed))
    text = warned(new(), free(needed - 1))
    assert text.startswith("hypervisor.poolPath = /var/lib/libvirt/images/okd-hard-way\n")
    assert f"{needed - 1} GiB are free" in text
    assert f"grow to {needed} GiB" in text
    assert "poolPath" in refused(with_check(hostDisk="refuse"), free(needed - 1))
    assert silent(with_check(hostDisk="ignore"), free(needed - 1))


def test_only_what_is_still_to_be_made_needs_disk() -> None:
    plan, facts = standing(new())

    def grow(config: dict[str, Any]) -> None:
        config["services"]["registryGiB"] += 10

    larger = replace(new(grow), before=plan.before)
    here = replace(facts.here or Here(), directory=Directory("/p", free=10 * GIB))
    assert silent(larger, replace(facts, here=here))
    here = replace(here, directory=Directory("/p", free=9 * GIB))
    assert "grow to 10 GiB" in warned(larger, replace(facts, here=here))


def test_a_remote_hosts_free_space_is_that_of_the_pool_around_the_directory() -> None:
    remote = replace(FREE, here=None)
    around = Pool("images", "1", path="/var/lib/libvirt/images/", free=9 * GIB)
    assert "9 GiB are free" in warned(new(), replace(remote, pools=(around,)))
    beside = replace(around, path="/var/lib/libvirt/images/okd-hard")
    assert silent(new(), replace(remote, pools=(beside,)))
    outer = Pool("all", "2", path="/var", free=9000 * GIB)
    assert "9 GiB are free" in warned(new(), replace(remote, pools=(around, outer)))


@pytest.mark.parametrize(
    ("directory", "told"),
    [
        (Directory("/var/lib/file", is_directory=False), "/var/lib/file is no directory"),
        (Directory("/mnt/cdrom", writable=False), "/mnt/cdrom cannot be written to"),
    ],
)
def test_a_directory_that_cannot_be_made_is_refused(directory: Directory, told: str) -> None:
    assert told in refused(new(), replace(FREE, here=replace(HERE, directory=directory)))


# Objects under the stack's names.


def test_a_foreign_domain_is_refused_with_what_removes_it() -> None:
    foreign = Domain("okd-hard-way_compute-1", "theirs", active=True)
    text = refused(new(), replace(FREE, domains=(foreign,)))
    assert text.startswith("libvirt domain okd-hard-way_compute-1\n")
    assert "`make up` puts it in order" in text
    assert "virsh -c qemu:///system destroy okd-hard-way_compute-1; " in text
    assert "virsh -c qemu:///system undefine --nvram okd-hard-way_compute-1" in text
    off = replace(FREE, domains=(replace(foreign, active=False),))
    assert "destroy" not in refused(new(), off)


def test_a_domain_made_anew_by_somebody_else_is_not_taken_for_the_states() -> None:
    plan, facts = standing(new())
    first, *others = facts.domains or ()
    found = preflight.findings(plan, replace(facts, domains=(replace(first, uuid="another"), *others)))
    assert [one.setting for one in found.refused] == [f"libvirt domain {first.name}"]
    assert [one.value for one in found.warned] == [f"domain {first.name}"]


def test_a_domain_of_another_stack_is_none_of_ours() -> None:
    other = Domain("okd-hard-way-two_compute-1", "theirs", nics=(Nic("f8:75:a4:ac:02:01", "okd-hard-way-two-cluster"),))
    assert silent(new(), replace(FREE, domains=(other,)))


def test_foreign_networks_are_refused_with_what_removes_them() -> None:
    theirs = Network("okd-hard-way-cluster", "theirs", active=True)
    text = refused(new(), replace(FREE, networks=(theirs,)))
    assert "net-destroy okd-hard-way-cluster; virsh -c qemu:///system net-undefine okd-hard-way-cluster" in text
    uplink = Network("okd-hard-way-uplink", "theirs", active=False)
    text = refused(new(), replace(FREE, networks=(uplink,)))
    assert "net-destroy" not in text
    assert "net-undefine okd-hard-way-uplink" in text


def test_a_foreign_pool_is_refused_and_its_files_are_kept() -> None:
    path = "/var/lib/libvirt/images/okd-hard-way"
    text = refused(new(), replace(FREE, pools=(Pool("okd-hard-way", "theirs", path=path, free=9000 * GIB),)))
    assert "pool-destroy okd-hard-way; " in text
    assert "pool-undefine okd-hard-way (its files stay)" in text


def test_a_pool_of_another_name_in_the_stacks_directory_is_refused() -> None:
    path = "/var/lib/libvirt/images/okd-hard-way/"
    text = refused(new(), replace(FREE, pools=(Pool("mine", "theirs", path=path, free=9000 * GIB),)))
    assert text.startswith("hypervisor.poolPath = /var/lib/libvirt/images/okd-hard-way\n")
    assert "pool mine" in text


def test_a_foreign_volume_is_refused_with_what_removes_it() -> None:
    plan, facts = standing(new())
    name = plan.names.volume("compute-0", "root")
    resources = [one for one in plan.before.resources if one["outputs"]["name"] != name]
    text = refused(replace(plan, before=Before.of({}, resources)), facts)
    assert f"vol-delete {name} --pool okd-hard-way" in text


def test_files_that_would_be_taken_for_volumes_are_refused() -> None:
    name = new().names.volume("compute-0", "root")
    text = refused(new(), replace(FREE, volumes=frozenset({name, "lost+found"})))
    assert f"rm /var/lib/libvirt/images/okd-hard-way/{name}" in text


def test_a_registry_of_a_lost_state_is_not_given_up_lightly() -> None:
    text = refused(new(), replace(FREE, volumes=frozenset({footprint.registry_volume(new())})))
    assert "to keep them, move the file away first" in text


def test_a_strange_volume_in_the_stacks_own_pool_is_warned_about() -> None:
    plan, facts = standing(new())
    text = warned(plan, replace(facts, volumes=(facts.volumes or frozenset()) | {"holiday.iso"}))
    assert text.startswith("libvirt volume holiday.iso\n")


@pytest.mark.parametrize("kind", ["domains", "networks", "pools"])
def test_what_the_state_holds_and_the_host_has_lost_is_warned_about(kind: str) -> None:
    plan, facts = standing(new())
    lost, *left = reversed(getattr(facts, kind))
    changes: dict[str, Any] = {kind: tuple(left)}
    text = warned(plan, replace(facts, here=HERE, **changes))
    assert text.startswith(f"the stack's state = {kind[:-1]} {lost.name}\n")
    assert "pulumi refresh" in text


def test_lost_volumes_are_warned_about_in_one_line() -> None:
    plan, facts = standing(new())
    count = len(facts.volumes or ())
    assert f"and {count - 5} more" in warned(plan, replace(facts, volumes=frozenset()))


def test_a_network_that_is_not_active_is_refused_only_where_machines_are_to_be_made() -> None:
    plan, facts = standing(new())
    networks = tuple(replace(one, active=one.name != "okd-hard-way-uplink") for one in facts.networks or ())
    links = tuple(one for one in (facts.here or Here()).links or () if one.name != plan.names.uplink_bridge)
    facts = replace(facts, networks=networks, here=replace(facts.here or Here(), links=links))
    assert "net-start okd-hard-way-uplink" in warned(plan, facts)
    added = new(lambda config: config["machines"].update({"compute-9": {"address": "192.168.200.29"}}))
    assert "net-start okd-hard-way-uplink" in refused(replace(added, before=plan.before), facts)


def test_a_pool_that_is_not_active_is_refused_only_where_volumes_are_to_be_made() -> None:
    plan, facts = standing(new())
    pools = tuple(replace(one, active=one.name != "okd-hard-way") for one in facts.pools or ())
    facts = replace(facts, pools=pools, volumes=None)
    assert "pool-start okd-hard-way" in warned(plan, facts)
    added = new(lambda config: config["machines"].update({"compute-9": {"address": "192.168.200.29"}}))
    assert "pool-start okd-hard-way" in refused(replace(added, before=plan.before), facts)


# Networks.


def test_a_bridge_that_another_network_has_is_refused() -> None:
    theirs = Network("theirs", "1", bridge=new().names.cluster_bridge)
    assert "net-edit theirs" in refused(new(), replace(FREE, networks=(theirs,)))


def test_an_interface_that_a_killed_libvirtd_left_is_refused() -> None:
    name = new().names.uplink_bridge
    here = replace(HERE, links=(Link(name, bridge=True),))
    assert f"ip link delete {name}" in refused(new(), replace(FREE, here=here))


def test_a_subnet_of_another_libvirt_network_is_refused_and_warned_about_while_that_is_inactive() -> None:
    theirs = Network("theirs", "1", bridge="virbr7", subnets=(IPv4Network("192.168.126.128/25"),))
    text = refused(new(), replace(FREE, networks=(theirs,)))
    assert text.startswith("uplink.cidr = 192.168.126.0/24\n")
    assert "theirs (192.168.126.128/25)" in text
    assert "uplink.cidr" in warned(new(), replace(FREE, networks=(replace(theirs, active=False),)))


def test_a_libvirt_network_is_named_once_although_it_has_a_route_as_well() -> None:
    subnet = IPv4Network("192.168.126.0/24")
    theirs = Network("theirs", "1", bridge="virbr7", subnets=(subnet,))
    here = replace(HERE, routes=(Route(subnet, "virbr7"),))
    assert "libvirt's network theirs" in refused(new(), replace(FREE, networks=(theirs,), here=here))


@pytest.mark.parametrize(
    ("network", "verdict"),
    [
        ("192.168.126.0/24", refused),
        ("192.168.126.64/26", refused),
        ("192.168.0.0/17", warned),
    ],
)
def test_a_route_of_this_machine_over_the_uplink(network: str, verdict: Callable[[Plan, HostFacts], str]) -> None:
    here = replace(HERE, routes=(Route(IPv4Network(network), "tun0", direct=False),))
    text = verdict(new(), replace(FREE, here=here))
    assert text.startswith("uplink.cidr = 192.168.126.0/24\n")
    assert f"{network} on tun0" in text


def test_a_changed_uplink_is_looked_at_again() -> None:
    plan, facts = standing(new())
    moved = new(lambda config: config["uplink"].update(cidr="192.168.127.0/24"))
    theirs = Network("theirs", "1", subnets=(IPv4Network("192.168.127.0/24"),))
    facts = replace(facts, networks=(*(facts.networks or ()), theirs))
    assert silent(plan, facts)
    assert "network theirs" in refused(replace(moved, before=plan.before), facts)


def test_the_cluster_network_on_this_machines_own_lan_is_warned_about() -> None:
    here = replace(HERE, routes=(Route(IPv4Network("192.168.200.0/24"), "eth0"),))
    assert warned(new(), replace(FREE, here=here)).startswith("network.cidr = 192.168.200.0/24\n")


@pytest.mark.parametrize("where", [{"network": "okd-hard-way-cluster"}, {"bridge": new().names.cluster_bridge}])
def test_a_foreign_domain_with_one_of_our_macs_on_our_network_is_refused(where: dict[str, str]) -> None:
    plan, facts = standing(new())
    theirs = Domain("theirs", "1", nics=(Nic("f8:75:a4:ac:02:01", **where),))
    text = refused(plan, replace(facts, domains=(*(facts.domains or ()), theirs)))
    assert text.startswith("machines.compute-1.mac = f8:75:a4:ac:02:01\n")


def test_the_same_mac_on_another_network_harms_nobody() -> None:
    plan, facts = standing(new())
    theirs = Domain("theirs", "1", nics=(Nic("f8:75:a4:ac:02:01", "default", "virbr0"),))
    assert silent(plan, replace(facts, domains=(*(facts.domains or ()), theirs)))


# A bridge of the host as the uplink: prod's is br0 on 10.20.0.0/16.

ON_BRIDGE = replace(
    FREE,
    networks=(),
    here=replace(HERE, routes=(Route(IPv4Network("10.0.0.0/8"), "br0"),)),
)


def bridged(bridge: str = "br0") -> Plan:
    return planned("prod", lambda config: config["uplink"].update(bridge=bridge))


def test_a_named_bridge_that_is_there_has_no_finding() -> None:
    assert silent(bridged(), ON_BRIDGE)


@pytest.mark.parametrize(("name", "told"), [("br7", "no such interface"), ("eth0", "no Linux bridge")])
def test_a_named_bridge_that_is_none_is_refused_with_those_that_are(name: str, told: str) -> None:
    text = refused(bridged(name), ON_BRIDGE)
    assert text.startswith(f"uplink.bridge = {name}\n")
    assert told in text
    assert "(there are: br0)" in text


def test_a_named_bridge_with_a_small_mtu_is_warned_about() -> None:
    here = replace(ON_BRIDGE.here or Here(), links=(Link("br0", bridge=True, mtu=1400),))
    assert "its MTU is 1400" in warned(bridged(), replace(ON_BRIDGE, here=here))


def test_a_bridge_whose_network_this_machine_does_not_reach_is_warned_about() -> None:
    here = replace(ON_BRIDGE.here or Here(), routes=())
    assert warned(bridged(), replace(ON_BRIDGE, here=here)).startswith("uplink.cidr = ")


def test_this_machines_own_address_is_not_the_services_hosts() -> None:
    own = bridged().settings.uplink.address
    here = replace(ON_BRIDGE.here or Here(), addresses=frozenset({own}))
    assert refused(bridged(), replace(ON_BRIDGE, here=here)).startswith(f"uplink.address = {own}\n")


@pytest.mark.parametrize(("links", "good"), [(("net_br0_52_54",), True), (("net_br01_52_54", "net_lo_00"), False)])
def test_a_remote_hosts_bridge_is_looked_for_among_its_devices(links: tuple[str, ...], good: bool) -> None:
    facts = replace(ON_BRIDGE, here=None, links=links)
    assert silent(bridged(), facts) if good else "no such interface" in refused(bridged(), facts)


def test_a_foreign_card_on_the_named_bridge_with_the_services_hosts_mac_is_refused() -> None:
    mac = bridged().names.uplink_mac
    theirs = Domain("theirs", "1", nics=(Nic(mac, "lan"),))
    lan = Network("lan", "1", bridge="br0")
    assert mac in refused(bridged(), replace(ON_BRIDGE, domains=(theirs,), networks=(lan,)))


def test_every_problem_is_in_one_report() -> None:
    facts = replace(
        FREE,
        missing=("mkisofs",),
        image=Image(wrong="it is compressed"),
        memory_free_mib=1,
        domains=(Domain("okd-hard-way_compute-1", "theirs"),),
        pools=(Pool("okd-hard-way", "theirs"),),
    )
    assert {one.setting for one in preflight.findings(new(), facts).refused} == {
        "program mkisofs",
        "services.image.location",
        "memory of all machines",
        "libvirt domain okd-hard-way_compute-1",
        "libvirt pool okd-hard-way",
    }
