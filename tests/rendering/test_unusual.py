"""Good stacks that few would build are accepted, and every daemon's own parser takes what is rendered for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster import review
from tests.cluster.test_reference import faults
from tests.rendering.house import House
from tests.rendering.test_parsers import FEDORAS_REGISTRY
from tests.rendering.unusual import UNUSUAL, planned, unusual

pytestmark = pytest.mark.daemons


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


def test_there_are_many() -> None:
    assert len(UNUSUAL) >= 25
