"""The release's own tools: extracted by the real oc from the mirror, with the upstream gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.tiny_release import VERSION
from tests.mirroring.world import MIRROR, RELEASE, World
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]


@pytest.fixture
def mirrored(both: World) -> World:
    both.verb("mirror", both.document())
    both.stop("upstream")
    both.sh("rm /run/oc-starts")
    return both


def tools(world: World, made: Made, **changes: Any) -> dict[str, Any]:
    known = world.document()
    return {
        "release": f"{MIRROR}/okd/scos-release@{made.digest}",
        "version": VERSION,
        "registryCa": known["registryCa"],
        "pullSecret": known["pullSecret"],
        **changes,
    }


def test_the_tools_come_from_the_mirror_and_say_its_release(mirrored: World, made: Made) -> None:
    result, _ = mirrored.verb("tools", tools(mirrored, made))
    assert result == {"directory": f"{RELEASE}/tools/{made.digest[7:19]}", "version": VERSION}
    for name, program in (("oc", "oc"), ("kubectl", "oc"), ("openshift-install", "openshift-install")):
        assert mirrored.run("readlink", f"/usr/local/bin/{name}").strip() == f"{result['directory']}/{program}"
    said = mirrored.run("/usr/local/bin/openshift-install", "version")
    assert VERSION in said
    assert f"{MIRROR}/okd/scos-release@{made.digest}" in said


def test_the_upstream_is_not_asked_for_the_tools_while_it_is_there(mirrored: World, made: Made) -> None:
    mirrored.upstream()
    mirrored.faults("pass")
    mirrored.verb("tools", tools(mirrored, made))
    assert mirrored.sh("cat /run/asked 2>/dev/null || echo nobody") == "nobody\n"


def test_tools_that_are_right_are_left_alone(mirrored: World, made: Made) -> None:
    mirrored.verb("tools", tools(mirrored, made))
    assert mirrored.starts() == 2
    _, said = mirrored.verb("tools", tools(mirrored, made))
    assert "already right" in said
    assert mirrored.starts() == 2


def test_a_tool_that_was_altered_or_lost_its_link_is_put_right(mirrored: World, made: Made) -> None:
    mirrored.verb("tools", tools(mirrored, made))
    mirrored.sh(f"echo altered >> {RELEASE}/tools/*/oc; ln -sfn /bin/true /usr/local/bin/oc; rm /usr/local/bin/kubectl")
    _, said = mirrored.verb("tools", tools(mirrored, made))
    assert "/usr/local/bin/oc, /usr/local/bin/kubectl changed" in said
    assert "altered" not in mirrored.run("sh", "-c", "cat /usr/local/bin/oc | tr -d '\\0'")


def test_a_killed_extraction_leaves_the_old_tools_and_the_next_run_completes(mirrored: World, made: Made) -> None:
    mirrored.verb("tools", tools(mirrored, made))
    mirrored.sh(f"rm {RELEASE}/tools/*/extracted.json")
    agent = mirrored.start_agent("tools", tools(mirrored, made))
    mirrored.eventually(f"ls {RELEASE}/tools | grep new")
    mirrored.kill_agent()
    agent.communicate(timeout=PATIENCE_SECONDS)
    assert VERSION in mirrored.run("/usr/local/bin/openshift-install", "version")
    mirrored.verb("tools", tools(mirrored, made))
    assert mirrored.run("ls", f"{RELEASE}/tools") == f"{made.digest[7:19]}\n"


def test_another_version_than_the_release_has_is_refused(mirrored: World, made: Made) -> None:
    said = mirrored.refused("tools", tools(mirrored, made, version="4.18.1"))
    assert "it does not say 4.18.1" in said
    assert VERSION in said
    assert "name the same release" in said
    assert mirrored.sh("ls /usr/local/bin 2>/dev/null || echo none") == "none\n"


def test_a_release_that_is_not_mirrored_is_refused(mirrored: World, made: Made) -> None:
    said = mirrored.refused("tools", tools(mirrored, made, release=f"{MIRROR}/okd/scos-release@sha256:{'2' * 64}"))
    assert "is not what was mirrored last" in said
    assert "it mirrors the release first" in said


def test_a_mirror_that_is_down_is_named(mirrored: World, made: Made) -> None:
    mirrored.stop("mirror")
    said = mirrored.refused("tools", tools(mirrored, made))
    assert f"the connection to {MIRROR} does not last" in said
