"""Houses with the rendered files of the shipped stacks; a machine that lacks a daemon fails here, by package name."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from cluster.plan import Plan
from cluster.settings import Settings
from tests.conftest import stack_config
from tests.rendering import certificates
from tests.rendering.house import House, missing

SYSTEMS = ["debian-12", "fedora"]
NewHouse = Callable[..., House]


@pytest.fixture(scope="session", autouse=True)
def daemons() -> None:
    """Every daemon is here: a parser that is not asked has accepted nothing."""
    assert os.geteuid() == 0, "this tier makes namespaces: run it as root"
    assert not missing(), f"install these packages: apt-get install {' '.join(missing())}"


def plan_of(stack: str, system: str = "debian-12", **sections: Mapping[str, Any]) -> Plan:
    """A shipped stack's plan for an operating system, `sections` merged over its settings."""
    config = copy.deepcopy(stack_config(stack))
    config["services"]["operatingSystem"] = system
    for section, values in sections.items():
        config[section] = config.get(section, {}) | dict(values)
    return Plan.of(Settings.parse(config, stack, look_at_files=False))


@pytest.fixture(scope="session")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Certificates valid for every shipped stack's registry, and its password file."""
    fqdns = {plan_of(stack).services_fqdn for stack in ("dev", "hard-way", "prod")}
    return certificates.make(tmp_path_factory.mktemp("pki"), [f"DNS:{name}" for name in sorted(fqdns)])


@pytest.fixture(scope="module")
def new_house(values: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewHouse]:
    """Makes houses that are closed after the module."""
    with ExitStack() as stack:

        def make(plan: Plan) -> House:
            return stack.enter_context(House(plan, values, tmp_path_factory.mktemp("house")))

        yield make
