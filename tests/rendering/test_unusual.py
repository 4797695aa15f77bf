"""Good stacks that few would build are accepted, and every daemon's own parser takes what is rendered for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster import review
from cluster.plan import Plan
from cluster.settings import Settings
from lab import release
from tests.cluster.test_reference import faults
from tests.rendering.house import House
from tests.rendering.test_install_config import VERSION, Set
from tests.rendering.test_parsers import FEDORAS_REGISTRY
from tests.rendering.unusual import UNUSUAL, planned, unusual

# Those whose install-config has another form than the shipped stacks'.
INSTALLED = [
    "least that a stack says",
    "network of 65536 addresses",
    "network of two reverse zones",
    "single node",
    "five for the control plane",
    "forty machines in pools of their own",
    "names as long as may be",
    "names of digits",
    "proxy by address",
    "services host by another name, at the lowest address",
    "own networks and every limit",
]


@pytest.mark.daemons
@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_stack_is_accepted_and_rendered(name: str, values: dict[str, str], tmp_path: Path) -> None:
    plan = planned(name)
    assert plan.settings.warnings == ()
    with House(plan, values, tmp_path) as house:
        checked = set()
        for bundle in plan.bundles:
            for check in bundle.checks:
                checked.add(bundle.service)
                argv = [word.replace(f"{FEDORAS_REGISTRY} serve", "docker-registry serve") for word in check.argv]
                done = house.run(*argv)
                assert done.returncode == 0, f"{check.name}: {done.stdout}{done.stderr}"
                said = done.stdout + done.stderr
                assert not re.search(r"\bwarn", said, re.IGNORECASE), f"{check.name}: {said}"
        assert checked == {"firewall", "time", "dns", "dhcp", "http", "registry", "load-balancer"}


@pytest.mark.parametrize("name", UNUSUAL)
def test_everything_else_is_rendered_too(name: str) -> None:
    files = review.files(planned(name))
    assert all(text.endswith("\n") for path, text in files.items() if "cloud-init" not in path)


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_schema_takes_it(name: str) -> None:
    assert faults(unusual(name)) == []


@pytest.mark.release
@pytest.mark.parametrize("name", INSTALLED)
def test_the_real_installer_takes_it(name: str, values: dict[str, str], tmp_path: Path) -> None:
    config = unusual(name) | {"release": {"version": VERSION}}
    config.get("install", {}).pop("sourcePolicy", None)  # a later release knows it
    plan = Plan.of(Settings.parse(config, "unusual"))
    said = Set(release.installer(None), plan, tmp_path, values).create("manifests")
    assert "deprecated" not in said
    assert "unknown field" not in said


def test_there_are_many() -> None:
    assert len(UNUSUAL) >= 25
