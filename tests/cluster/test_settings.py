"""Every mistake is named by setting, value, harm and fix, and all of them in one report."""

from __future__ import annotations

import copy
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import mirror, settings_doubts, settings_keys, uplink_checks
from cluster.plan import Plan
from cluster.release_settings import Release
from cluster.settings import Problem, Settings, SettingsError
from cluster.values import UNSET_NETWORK
from tests.cluster.certificates import CERTIFICATE
from tests.cluster.mistakes import AUTHS, CATALOGUE, HIDDEN_PASSWORD, Config, Edit, both, drop, extra, put
from tests.conftest import stack_config


def report(edit: Edit, stack: str = "hard-way") -> tuple[Problem, ...]:
    config = copy.deepcopy(stack_config(stack))
    edit(config)
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config, stack)
    return caught.value.problems


@pytest.mark.parametrize(("edit", "setting", "words"), CATALOGUE.values(), ids=CATALOGUE)
def test_a_mistake_is_named_with_its_harm_and_fix(edit: Edit, setting: str, words: str) -> None:
    problems = report(edit)
    named = [problem for problem in problems if problem.setting == setting]
    assert named, problems
    assert any(words in f"{problem.harm}; {problem.fix}" for problem in named), named
    assert all(problem.harm and problem.fix for problem in problems)
    assert HIDDEN_PASSWORD not in str(SettingsError(problems))


# Mistakes that cannot but break a second rule; every other one is reported alone.
WITH_CONSEQUENCES = {
    "network too small",
    "network too large",
    "network overlaps pods",
    "names that differ in case",
    "host name too long",
    "uplink address is gateway",
    "two bootstraps",
    "unknown pool",
    "name too long",
    "cluster name too long for the installer",
    "uplink of two addresses",
    "full to the brim with a router apart",
}


@pytest.mark.parametrize(
    ("edit", "setting"),
    [(edit, setting) for name, (edit, setting, _) in CATALOGUE.items() if name not in WITH_CONSEQUENCES],
    ids=[name for name in CATALOGUE if name not in WITH_CONSEQUENCES],
)
def test_one_mistake_is_one_problem(edit: Edit, setting: str) -> None:
    assert [problem.setting for problem in report(edit)] == [setting]


def test_no_control_plane_at_all() -> None:
    def edit(config: Config) -> None:
        config["machines"] = {n: m for n, m in config["machines"].items() if not n.startswith("control-plane")}

    assert [problem.harm for problem in report(edit)] == ["no control plane: there would be no API and no etcd"]


def test_everything_wrong_is_in_one_report() -> None:
    problems = report(
        both(
            put("network.cidr", "192.168.200.240/28"),
            put("machines.compute-1.mac", "f8:75:a4:ac:02:00"),
            put("machines.compute-2.mac", "nonsense"),
            put("machines.infra-1.address", "192.168.200.40"),
            put("machines.infra-2.address", "oops"),
            extra("bad_name", pool="compute"),
            drop("machines.control-plane-2"),
            put("services.imge", "x"),
        )
    )
    settings = {problem.setting for problem in problems}
    assert {
        "network.cidr",
        "machines.compute-1.mac",
        "machines.compute-2.mac",
        "machines.infra-1.address",
        "machines.infra-2.address",
        "machines.bad_name",
        "machines",
        "services.imge",
    } <= settings
    text = str(SettingsError(problems))
    assert text.startswith(
        f"{len(problems)} problems in the stack's settings or on its libvirt host; nothing was created"
    )
    for problem in problems:
        assert problem.setting in text
        assert problem.harm in text
        assert problem.fix in text


def test_empty_settings_name_what_is_required() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({}, "new")
    assert {problem.setting for problem in caught.value.problems} == {"cluster", "services", "machines"}


def test_a_stack_overrides_single_fields_of_the_usual_pools() -> None:
    config = stack_config("hard-way")
    config["pools"] = {"compute": {"cpus": 2}, "gpu": {"cpus": 32}}
    pools = Settings.parse(config, "hard-way").pools
    assert (pools["compute"].cpus, pools["compute"].memory_mib, pools["compute"].role) == (2, 8192, "compute")
    assert (pools["gpu"].cpus, pools["gpu"].role) == (32, "compute")
    assert set(pools) == {"bootstrap", "control-plane", "compute", "infra", "storage", "gpu"}


def test_defaults_follow_from_other_settings() -> None:
    config = stack_config("hard-way")
    config["network"] = {"cidr": "192.168.200.0/25"}
    config["services"].pop("address")
    settings = Settings.parse(config, "blue")
    assert str(settings.services.address) == "192.168.200.126"
    assert settings.network.router == settings.services.address
    assert str(settings.uplink.address) == "192.168.126.10"
    assert str(settings.uplink.gateway) == "192.168.126.1"
    assert settings.hypervisor.pool_path == "/var/lib/libvirt/images/okd-blue"


def test_a_release_is_known_by_its_tag_or_its_version() -> None:
    def release(**given: Any) -> Release:
        return Settings.parse(stack_config("prod") | {"release": given, "install": {}}, "prod").release

    usual = release()
    assert (usual.image, usual.version) == ("quay.io/okd/scos-release:4.22.0-okd-scos.7", "4.22.0-okd-scos.7")
    assert usual.sources == ("quay.io/okd/scos-release", "quay.io/okd/scos-content")
    assert str(usual.client.location).endswith("/4.22.0-okd-scos.7/openshift-client-linux-4.22.0-okd-scos.7.tar.gz")
    by_tag = release(image="198.51.100.1:5000/okd/scos-release:4.19.0-okd-scos.0")
    assert by_tag.version == "4.19.0-okd-scos.0"
    assert by_tag.sources == ("198.51.100.1:5000/okd/scos-release", "198.51.100.1:5000/okd/scos-content")
    old = release(version="4.15.0-0.okd-2024-03-10-010116")
    assert old.image == "quay.io/openshift/okd:4.15.0-0.okd-2024-03-10-010116"
    assert old.sources == ("quay.io/openshift/okd", "quay.io/openshift/okd-content")
    pinned = release(image=f"quay.io/okd/scos-release@sha256:{'1' * 64}", version="4.21.0-okd-scos.3")
    assert (pinned.digest, pinned.version) == (f"sha256:{'1' * 64}", "4.21.0-okd-scos.3")


def test_fedora_coreos_may_still_start_the_last_release_that_knows_it() -> None:
    config = stack_config("prod") | {"release": {"version": "4.16.0-okd-scos.1"}, "install": {}}
    assert Settings.parse(config, "prod").boot_image.kernel is None


SECRET = "c2VjcmV0"  # in no message, whatever is wrong around it


@pytest.mark.parametrize(
    "release",
    [
        {"pullSecret": '{"auths": {"quay.io": {"auth": "c2VjcmV0"}}}'},
        {"pullSecret": {"auths": {"quay.io": {"auth": "c2VjcmV0"}}}},
        {"pullSecret": "c2VjcmV0"},
        {"pulSecret": "c2VjcmV0"},
        {"secretForPulling": "c2VjcmV0"},
        {"image": '{"auths": {"quay.io": {"auth": "c2VjcmV0"}}}'},
        '{"auths":{"quay.io":{"auth":"c2VjcmV0"}}}',
        [{"auth": "c2VjcmV0"}],
    ],
    ids=str,
)
def test_no_report_shows_a_pull_secret(release: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.parse(stack_config("prod") | {"release": release}, "prod")
    assert SECRET not in str(caught.value)
    assert "(not shown)" in str(caught.value)


def test_a_good_pull_secret_shows_nowhere() -> None:
    good = '{"auths": {"quay.io": {"auth": "dXNlcjpzZWNyZXQ="}}}'
    settings = Settings.parse(stack_config("prod") | {"release": {"pullSecret": good}, "install": {}}, "prod")
    assert "dXNlcjpzZWNyZXQ=" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.release.pull_secret is not None
    assert settings.release.pull_secret.get_secret_value() == good


def test_files_of_this_machine_may_be_left_alone() -> None:
    config = stack_config("prod") | {"release": {"trustedCertificates": ["no/such.pem"]}}
    assert Settings.parse(config, "prod", look_at_files=False).release.trusted_certificates == ("no/such.pem",)


def test_relative_paths_start_at_the_projects_directory(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    config = stack_config("prod") | {"release": {"trustedCertificates": ["ca.pem"]}}
    settings = Settings.parse(config, "prod", tmp_path)
    assert mirror.trusted_certificates(Plan.of(settings)) == [CERTIFICATE]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["192.168.200.20", "10.0.0.0/31"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        "cluster",
        "cluster.name",
        "hypervisor.uri",
        "network",
        "network.cidr",
        "uplink",
        "uplink.cidr",
        "uplink.address",
        "uplink.expose",
        "services",
        "services.name",
        "services.address",
        "services.image",
        "pools",
        "pools.compute",
        "pools.compute.role",
        "machines",
        "machines.compute-0",
        "machines.compute-0.address",
        "machines.compute-0.mac",
        "machines.services",
        "machines.image",
        "bootImage",
        "bootImage.kernel",
        "bootImage.kernelArguments",
        "release",
        "release.image",
        "release.version",
        "release.sources",
        "release.pullSecret",
        "release.client",
        "install",
        "install.clusterNetwork",
        "install.hostPrefix",
        "install.proxy",
        "install.manifests",
        "surprise",
    ]
)


@given(st.dictionaries(paths, values, min_size=1, max_size=4))
def test_whatever_is_written_gives_settings_or_a_report(edits: dict[str, Any]) -> None:
    config = copy.deepcopy(stack_config("hard-way"))
    for path, value in edits.items():
        *parents, last = path.split(".")
        here: Any = config
        for part in parents:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict):
            here[last] = value
    problems: tuple[Problem, ...] = ()
    try:
        settings = Settings.parse(config, "fuzzed")
    except SettingsError as error:
        problems = error.problems
    if problems:
        assert all(problem.setting and problem.harm and problem.fix for problem in problems)
    else:
        assert len(settings.machines) >= 2


def test_an_uplink_of_ones_own_gets_a_network_by_the_stacks_name() -> None:
    config = stack_config("hard-way")
    del config["uplink"]["cidr"]
    networks = {name: Settings.parse(config, name).uplink.cidr for name in ("blue", "green")}
    assert networks["blue"] != networks["green"]
    assert networks["blue"] == Settings.parse(config, "blue").uplink.cidr
    settings = Settings.parse(config, "blue")
    assert (settings.uplink.gateway, settings.uplink.address) == (networks["blue"][1], networks["blue"][10])


@given(st.text("abcdefgh-", min_size=1, max_size=20), st.sampled_from([16, 17, 18, 20, 24]), st.integers(0, 255))
def test_a_derived_uplink_overlaps_nothing(stack: str, prefix: int, third: int) -> None:
    cluster = IPv4Network(f"192.168.{third}.0/{prefix}", strict=False)
    found = uplink_checks.derived(stack, [cluster])
    assert found.prefixlen == 24
    assert not found.overlaps(cluster)
    assert not found.overlaps(IPv4Network("192.168.122.0/24"))
    if prefix > 16:
        assert IPv4Address("192.168.64.0") <= found[0] <= found[-1] <= IPv4Address("192.168.191.255")


def test_an_uplink_for_which_no_network_is_left_has_to_be_given() -> None:
    everything = [IPv4Network("192.168.0.0/16"), IPv4Network("172.29.0.0/16")]
    assert uplink_checks.derived("blue", everything) == UNSET_NETWORK


def warnings(edit: Edit, stack: str = "hard-way") -> list[tuple[str, str]]:
    config = copy.deepcopy(stack_config(stack))
    edit(config)
    return [(problem.setting, problem.harm) for problem in Settings.parse(config, "blue").warnings]


DOUBTS: dict[str, tuple[Edit, str, str]] = {
    "libvirt by ssh on a port": (
        put("hypervisor.uri", "qemu+ssh://root@host:2222/system"),
        "hypervisor.uri",
        "whose name is all of host:2222",
    ),
    "libvirt by ssh at an IPv6 address": (
        put("hypervisor.uri", "qemu+ssh://root@[fd00::1]/system?no_verify=1"),
        "hypervisor.uri",
        "whose name is all of [fd00::1]",
    ),
    "domain with the cluster's name": (put("cluster.baseDomain", "okd.example.com"), "cluster.baseDomain", "anyway"),
    "public network": (
        both(put("network.cidr", "192.186.200.0/24"), put("services", {"image": {"location": "/d.qcow2"}}),
             put("machines", {"bootstrap": {"address": "192.186.200.10"},
                              **{f"control-plane-{n}": {"address": f"192.186.200.3{n}"} for n in range(3)}})),
        "network.cidr",
        "public addresses",
    ),
    "few addresses for pods": (put("install.hostPrefix", 26), "install.hostPrefix", "fewer than the 250"),
    "image of another system": (put("services.operatingSystem", "fedora"), "services.image.location", "not fedora"),
    "image of a newer system": (
        put("services.image.location", "https://example.com/debian-13-generic-amd64.qcow2"),
        "services.image.location",
        "not debian-12",
    ),
    "image of another architecture": (
        put("services.image.location", "https://example.com/debian-12-generic-arm64.qcow2"),
        "services.image.location",
        "made for aarch64",
    ),
    "consoles that nobody keeps": (
        put("bootImage.kernelArguments", ["console=tty0"]),
        "bootImage.kernelArguments",
        "keeps what is printed on ttyS0",
    ),
    "a machine's consoles that nobody keeps": (
        put("machines.infra-0.kernelArguments", ["quiet", "console=hvc0"]),
        "machines.infra-0.kernelArguments",
        "keeps what is printed on ttyS0",
    ),
    "small sizes": (
        both(put("checks", {"minimumSizes": "warn"}), put("pools.compute.cpus", 1)),
        "pools.compute.cpus",
        "too little for compute",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "setting", "words"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_seldom_meant_is_a_warning(edit: Edit, setting: str, words: str) -> None:
    ((named, harm),) = warnings(edit)
    assert (named, words in harm) == (setting, True)


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
def test_the_shipped_stacks_give_no_warning(stack: str) -> None:
    assert warnings(lambda config: None, stack) == []


def test_small_sizes_may_be_left_alone() -> None:
    assert warnings(both(put("checks", {"minimumSizes": "ignore"}), put("pools.compute.cpus", 1))) == []


def test_a_pools_size_is_named_once_however_many_machines_it_has() -> None:
    assert [problem.setting for problem in report(put("pools.control-plane.cpus", 1))] == ["pools.control-plane.cpus"]
    problems = report(both(put("pools.infra.cpus", 1), put("machines.infra-1.cpus", 1)))
    assert [problem.setting for problem in problems] == ["machines.infra-1.cpus", "pools.infra.cpus"]


def test_a_key_with_a_misspelt_prefix_is_named_in_the_same_report() -> None:
    keys = ["okd-libvirt:cluster", "okd-libvrt:network", "okd_libvirt:uplink", "aws:region", "pulumi:tags"]
    known = settings_keys.strayed(keys, "okd-libvirt")
    assert [(one.setting, one.fix) for one in known] == [
        ("okd-libvrt:network", "did you mean okd-libvirt:network?"),
        ("okd_libvirt:uplink", "did you mean okd-libvirt:uplink?"),
    ]
    with pytest.raises(SettingsError) as caught:
        Settings.parse(stack_config("hard-way") | {"netwrok": {}}, "hard-way", known=known)
    assert {one.setting for one in caught.value.problems} == {"netwrok", "okd-libvrt:network", "okd_libvirt:uplink"}


def test_a_pull_secret_in_plain_text_is_told_without_being_shown() -> None:
    secret = AUTHS % "dXNlcjpzZWNyZXQ="
    settings = Settings.parse(stack_config("hard-way") | {"release": {"pullSecret": secret}, "install": {}}, "hard-way")
    (told,) = settings_doubts.in_plain_text(settings, lambda key: False)
    assert told.setting == "release.pullSecret"
    assert "dXNlcjpzZWNyZXQ=" not in str(told)
    assert list(settings_doubts.in_plain_text(settings, lambda key: key == "release")) == []
    without = Settings.parse(stack_config("hard-way"), "hard-way")
    assert list(settings_doubts.in_plain_text(without, lambda key: False)) == []
