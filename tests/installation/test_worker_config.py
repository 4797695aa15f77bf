"""The ignition configs that new machines join with: the running cluster's own, whole sets only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.installation.conftest import Agent
from tests.installation.fake_api import FakeApi, pointer

NAMES = ("bootstrap.ign", "master.ign", "worker.ign")
SECRETS = "/api/v1/namespaces/openshift-machine-api/secrets"
FRESH = {role: pointer(role, "a-fresher-authority") for role in ("worker", "master")}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "www" / "ignition"


@pytest.fixture
def up(api: FakeApi) -> FakeApi:
    for role, text in FRESH.items():
        api.secret("openshift-machine-api", f"{role}-user-data", userData=text, disableTemplating="true")
    return api


def run(agent: Agent, api: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    publish = {"directory": str(place), "group": "root", "mode": "0640", "selinux": None}
    agent.load("installation.worker_config").main([], {"api": api.where, "publish": publish})
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    found: dict[str, Any] = json.loads(last.removeprefix("result: "))
    return found


def published(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.iterdir()}


def installers(agent: Agent) -> dict[str, str]:
    return {name: (agent.release / "install" / name).read_text() for name in NAMES}


def test_what_the_running_cluster_keeps_is_published_beside_the_installers_bootstrap(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(agent, up, place, capsys)
    bootstrap = installers(agent)["bootstrap.ign"]
    assert published(place) == {
        "bootstrap.ign": bootstrap,
        "master.ign": FRESH["master"],
        "worker.ign": FRESH["worker"],
    }
    assert found == {"digest": hashlib.sha256(FRESH["worker"].encode()).hexdigest(), "source": "cluster"}


def test_before_the_cluster_is_up_the_installers_are_published(
    agent: Agent, api: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(agent, api, place, capsys)["source"] == "installer"
    assert published(place) == installers(agent)
    api.stop()
    assert run(agent, api, place, capsys)["source"] == "installer"
    assert published(place) == installers(agent)


def test_while_an_installed_cluster_is_silent_what_was_published_stays(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(agent, up, place, capsys)
    agent.load("ignition.guard").note_installed()
    up.fail = 503
    assert run(agent, up, place, capsys) == first
    assert published(place)["worker.ign"] == FRESH["worker"]


def test_what_a_destroyed_cluster_had_published_does_not_stay(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(agent, up, place, capsys)
    up.stop()
    assert run(agent, up, place, capsys)["source"] == "installer"
    assert published(place) == installers(agent)


def test_nothing_is_written_when_it_is_published_already(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(agent, up, place, capsys)
    before = (place.stat().st_ino, (place / "worker.ign").stat().st_mtime_ns)
    run(agent, up, place, capsys)
    assert (place.stat().st_ino, (place / "worker.ign").stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "{}",
        "[]",
        '{"ignition": {"config": {"merge": []}}}',
        pointer("master"),
        pointer("worker").replace("https", "http"),
        pointer("worker", "").replace("data:text/plain;base64,", ""),
    ],
)
def test_a_secret_that_no_machine_could_join_with_is_not_published(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    run(agent, up, place, capsys)
    up.secret("openshift-machine-api", "worker-user-data", userData=content)
    with pytest.raises(agent.failed, match="worker-user-data is no ignition config") as failure:
        run(agent, up, place, capsys)
    assert "oc -n openshift-machine-api extract secret/worker-user-data" in failure.value.remedy  # type: ignore[attr-defined]
    assert published(place)["worker.ign"] == FRESH["worker"]


def test_without_a_set_the_way_to_one_is_named(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (agent.release / "install" / "worker.ign").unlink()
    with pytest.raises(agent.failed, match="damaged") as failure:
        run(agent, up, place, capsys)
    assert "okd-host ignition" in failure.value.remedy  # type: ignore[attr-defined]
    (agent.release / "install").rename(agent.release / "elsewhere")
    with pytest.raises(agent.failed, match="no ignition configs on this host"):
        run(agent, up, place, capsys)
    assert not place.exists()


def test_the_secrets_content_is_never_printed(
    agent: Agent, up: FakeApi, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish = {"directory": str(place), "group": "root", "mode": "0640", "selinux": None}
    agent.load("installation.worker_config").main([], {"api": up.where, "publish": publish})
    shown = capsys.readouterr()
    assert "certificateAuthorities" not in shown.out + shown.err
