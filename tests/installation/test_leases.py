"""Who lives: leases that are renewed, by no clock but the API server's; and what gives no answer is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.installation.conftest import Agent
from tests.installation.fake_api import DOMAIN, LEASES, NODES, FakeApi

FQDN = f"compute-0.{DOMAIN}"


class Watch:
    """A wait that looks at one node again and again."""

    def __init__(self, agent: Agent, api: FakeApi) -> None:
        self.api = agent.load("installation.api").Api.of(api.where)
        self.pulse = agent.load("installation.leases").Pulse()

    def look(self) -> str:
        self.node = self.pulse.nodes(self.api)[FQDN]
        found: str = self.pulse.state(FQDN)
        assert self.pulse.ready(self.node) == (found == "alive")
        return found


@pytest.fixture
def watch(agent: Agent, api: FakeApi) -> Watch:
    api.node("compute-0")
    return Watch(agent, api)


def test_a_lease_that_was_just_renewed_is_a_sign_of_life_at_the_first_look(watch: Watch) -> None:
    assert watch.look() == "alive"


@pytest.mark.parametrize("age", [90, 86400.0, -86400.0])
def test_an_old_lease_is_none_and_nor_is_one_of_another_clock_until_it_is_renewed(
    watch: Watch, api: FakeApi, age: float
) -> None:
    api.lease("compute-0", age)
    assert watch.look() == "unknown"
    assert watch.look() == "unknown"
    api.lease("compute-0", age - 10)
    assert watch.look() == "alive"


def test_a_clock_of_this_host_that_is_wrong_changes_nothing(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.gmtime", lambda *_: pytest.fail("the local clock was asked"))
    monkeypatch.setattr("time.time", lambda: 0.0)
    watch.pulse._note(FQDN, {"spec": {"renewTime": "2026-12-01T04:00:00.123456Z"}}, 1796097610.0)
    assert watch.pulse.state(FQDN) == "alive"


def test_a_node_without_a_lease_is_waited_for(watch: Watch, api: FakeApi) -> None:
    del api.objects[f"{LEASES}/{FQDN}"]
    assert watch.look() == "unknown"
    assert "not reported yet" in watch.pulse.why_not_ready(watch.node)
    api.lease("compute-0")
    assert watch.look() == "alive"


def test_one_that_was_watched_for_the_grace_without_a_renewal_is_gone(watch: Watch, agent: Agent, api: FakeApi) -> None:
    api.lease("compute-0", 90)
    assert watch.look() == "unknown"
    agent.waits("LEASE", 0)
    assert watch.look() == "gone"
    assert "reads Ready, but its kubelet has not reported since 20" in watch.pulse.why_not_ready(watch.node)


def test_a_time_in_which_the_api_was_silent_is_not_watched(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def after(seconds: float) -> str:
        clock[0] += seconds
        watch.pulse._note(FQDN, {"spec": {"renewTime": "2026-12-01T04:00:00.123456Z"}}, None)
        found: str = watch.pulse.state(FQDN)
        return found

    assert after(0) == "unknown"
    assert after(300) == "unknown", "its kubelet could not have renewed it meanwhile either"
    assert [after(5) for _ in range(6)] == ["unknown"] * 6
    assert after(5) == "gone"


def test_who_renews_is_not_ready_when_its_node_says_that_it_is_not(watch: Watch, api: FakeApi) -> None:
    with api.change(f"{NODES}/{FQDN}") as node:
        node["status"]["conditions"][0] |= {"status": "False", "message": "the network is not ready"}
    node = watch.pulse.nodes(watch.api)[FQDN]
    assert not watch.pulse.ready(node)
    assert "the network is not ready" in watch.pulse.why_not_ready(node)


@pytest.mark.parametrize("status", [403, 503])
def test_leases_that_cannot_be_read_are_no_answer(watch: Watch, api: FakeApi, agent: Agent, status: int) -> None:
    api.refuse[("GET", LEASES)] = status
    module: Any = agent.load("installation.api")
    with pytest.raises((module.Refused, module.Silent)):
        watch.look()


def test_a_look_that_must_decide_waits_until_it_knows(
    agent: Agent, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = agent.load("installation.leases")
    for name in ("POLL", "HEARTBEAT"):
        monkeypatch.setattr(leases, name, 0.0)
    for name in ("compute-0", "compute-1"):
        api.node(name)
        api.lease(name, 90)
    said: list[str] = []

    def waiting(what: str) -> None:
        said.append(what)
        api.lease("compute-1", 80)
        if len(said) == 2:
            agent.waits("LEASE", 20)
            for beat in pulse._beats.values():
                beat.since -= 30 if beat.renewed and not beat.changed else 0

    pulse = leases.Pulse()
    monkeypatch.setattr(leases, "Pulse", lambda: pulse)
    found, known = leases.settled(agent.load("installation.api").Api.of(api.where), waiting)
    assert {name.partition(".")[0]: found.ready(node) for name, node in known.items()} == {
        "compute-0": False,
        "compute-1": True,
    }
    assert f"a sign of life of {FQDN}, compute-1" in said[0]
