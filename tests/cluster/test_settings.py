"""Every mistake is named by setting, value, harm and fix, and all of them in one report."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.settings import Problem, Settings, SettingsError
from tests.cluster.mistakes import CATALOGUE, Config, Edit, both, drop, extra, put
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
    assert text.startswith(f"{len(problems)} problems in the stack's settings; nothing was created")
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
    assert str(settings.uplink.address) == "192.168.122.10"
    assert str(settings.uplink.gateway) == "192.168.122.1"
    assert settings.hypervisor.pool_path == "/var/lib/libvirt/images/okd-blue"


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
