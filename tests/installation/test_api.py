"""Asking the cluster's API: with the set's own credentials, at the address given, and what its failures mean."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.installation.conftest import Agent, in_memory
from tests.installation.fake_api import DOMAIN, NODES, Authority, FakeApi
from tests.patience import PATIENCE_SECONDS


def own(agent: Agent, api: FakeApi, **where: str) -> Any:
    return agent.load("installation.api").Api.of({**api.where, **where}, limit=PATIENCE_SECONDS)


def test_the_address_is_the_documents_whatever_the_name_server_says(
    agent: Agent, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(host: str, *arguments: Any, **options: Any) -> Any:
        assert host == "127.0.0.1"
        return original(host, *arguments, **options)

    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    api.node("compute-0")
    assert len(own(agent, api).get(NODES)["items"]) == 1


def test_one_connection_serves_many_requests(agent: Agent, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[Any] = []
    original = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda *a, **o: connections.append(a) or original(*a, **o))
    asked = own(agent, api)
    for _ in range(5):
        asked.get(NODES)
    assert len(connections) == 1


def test_a_connection_that_ended_meanwhile_is_made_again(agent: Agent, api: FakeApi) -> None:
    asked = own(agent, api)
    asked.get(NODES)
    api.stop()
    api.start()
    assert asked.get(NODES)["items"] == []
    api.stop()
    api.start()
    asked.post(f"{NODES}", {"metadata": {"name": "x"}})
    assert api.changes() == [f"POST {NODES}"]


def test_silence_is_told_from_a_refusal(agent: Agent, api: FakeApi) -> None:
    module = agent.load("installation.api")
    asked = own(agent, api)
    with pytest.raises(module.Refused, match="404"):
        asked.get(f"{NODES}/nobody")
    for status in (500, 502, 503):
        api.fail = status
        with pytest.raises(module.Silent, match=str(status)):
            asked.get(NODES)
    api.fail = 0
    assert asked.get("/readyz") == {"text": "ok"}
    api.stop()
    with pytest.raises(module.Silent, match="refused"):
        asked.get(NODES)


def test_a_port_that_accepts_and_says_nothing_is_silent(agent: Agent, api: FakeApi) -> None:
    module = agent.load("installation.api")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = {"url": f"https://api.{DOMAIN}:{listener.getsockname()[1]}"}
        asked = module.Api.of({**api.where, **where}, limit=0.3)
        with pytest.raises(module.Silent, match="timed out"):
            asked.get(NODES)


def test_a_load_balancer_without_servers_is_silent(agent: Agent, api: FakeApi) -> None:
    module = agent.load("installation.api")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        with pytest.raises(module.Silent):
            own(agent, api, url=f"https://api.{DOMAIN}:{listener.getsockname()[1]}").get(NODES)


def test_another_clusters_api_gets_no_answer_and_is_named(agent: Agent, api: FakeApi) -> None:
    foreign = FakeApi(signer=Authority("another"))
    try:
        with pytest.raises(agent.load("installation.api").Silent, match=r"self-signed|unable to get"):
            own(agent, foreign).get(NODES)
        assert foreign.asked == []
    finally:
        foreign.stop()


def test_a_certificate_for_another_name_is_not_accepted(agent: Agent, api: FakeApi) -> None:
    with pytest.raises(agent.load("installation.api").Silent, match="Hostname mismatch"):
        own(agent, api, url=f"https://other.{DOMAIN}:{api.port}").get(NODES)


def test_no_credential_touches_a_disk(agent: Agent, api: FakeApi, tmp_path: Path) -> None:
    asked = own(agent, api)
    before = {path for path in tmp_path.rglob("*")}
    with asked.kubeconfig() as path:
        assert os.readlink(path).startswith("/memfd:")
        user = json.loads(Path(path).read_text())["users"][0]["user"]
        assert set(user) == {"client-certificate-data", "client-key-data"}
        mode = subprocess.run(["stat", "-L", "-c", "%a", path], capture_output=True, text=True, check=True).stdout
        assert mode == "600\n"
    assert not in_memory()
    assert {path for path in tmp_path.rglob("*")} == before


def test_without_a_set_there_is_nobody_to_ask_as(agent: Agent, cluster: FakeApi) -> None:
    with pytest.raises(agent.load("installation.api").Silent, match="no credentials"):
        own(agent, cluster)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("merge", {"spec": {"unschedulable": True}}),
        ("strategic", {"spec": {"unschedulable": True}}),
        ("json", [{"op": "add", "path": "/spec/unschedulable", "value": True}]),
    ],
)
def test_an_object_is_changed_by_a_patch_of_each_kind(agent: Agent, api: FakeApi, kind: str, body: Any) -> None:
    api.node("compute-0")
    own(agent, api).patch(f"{NODES}/compute-0.{DOMAIN}", body, kind)
    assert api.get(f"{NODES}/compute-0.{DOMAIN}")["spec"] == {"unschedulable": True}


def test_a_stale_object_is_not_put(agent: Agent, api: FakeApi) -> None:
    api.config_map("kube-system", "bootstrap", status="no")
    path = "/api/v1/namespaces/kube-system/configmaps/bootstrap"
    asked = own(agent, api)
    old = asked.get(path)
    asked.put(path, {**old, "data": {"status": "complete"}})
    with pytest.raises(agent.load("installation.api").Refused, match="409"):
        asked.put(path, {**old, "data": {"status": "back"}})
    assert api.get(path)["data"] == {"status": "complete"}
    asked.delete(path)
    assert path not in api.objects
