"""Logging in at registries: where Docker Hub answers, whose login is sent, and tokens for identity tokens."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from typing import BinaryIO
from urllib.parse import parse_qs

import pytest

from okd_host.logins import Logins
from okd_host.mirror.registry import Answer, Refused, Registry

CHALLENGE = 'Bearer realm="https://auth.example.com/token",service="the.service"'
AUTH = b64encode(b"reader:password").decode()


class Scripted(Registry):
    """A registry that gives out tokens, without a network; `asked` are method, URL, headers and body."""

    def __init__(self, host: str, auths: dict[str, dict[str, str]], *, refuses: bool = False) -> None:
        super().__init__(host, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Logins.of(json.dumps({"auths": auths})))
        self.refuses = refuses
        self.asked: list[tuple[str, str, dict[str, str], str]] = []

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | BinaryIO | None) -> Answer:
        self.asked.append((method, url, headers, body.decode() if isinstance(body, bytes) else ""))
        if "/token" in url:
            return Answer(401, {}, b"") if self.refuses else Answer(200, {}, b'{"access_token": "given"}')
        if headers.get("Authorization") == "Bearer given":
            return Answer(200, {}, b"content")
        return Answer(401, {"www-authenticate": CHALLENGE}, b"")


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "docker.io", "docker.io/library", "registry-1.docker.io"]
)
def test_docker_hub_is_asked_where_it_answers_with_the_login_of_its_key(key: str) -> None:
    hub = Scripted("docker.io", {key: {"auth": AUTH}, "quay.io": {"auth": b64encode(b"other:one").decode()}})
    assert hub.get("manifests", "library/registry", "2") == b"content"
    (_, first, _, _), (_, token, sent, _), (_, again, _, _) = hub.asked
    assert first == again == "https://registry-1.docker.io/v2/library/registry/manifests/2"
    assert token.startswith("https://auth.example.com/token?service=the.service&scope=repository%3Alibrary")
    assert sent == {"Authorization": f"Basic {AUTH}"}


def test_a_failure_at_docker_hub_names_the_registry_as_the_settings_do() -> None:
    hub = Scripted("docker.io", {"https://index.docker.io/v1/": {"auth": AUTH}}, refuses=True)
    with pytest.raises(Refused) as refused:
        hub.get("manifests", "library/registry", "2")
    assert refused.value.host == "docker.io"


def identity(token: str) -> dict[str, str]:
    return {"auth": b64encode(b"00000000-0000-0000-0000-000000000000:").decode(), "identitytoken": token}


def test_an_identity_token_gets_a_token_and_is_in_no_url() -> None:
    registry = Scripted("a.azurecr.io", {"a.azurecr.io": identity("eyJ.of.mine")})
    assert registry.get("manifests", "team/app", "1") == b"content"
    method, url, headers, body = registry.asked[1]
    assert (method, url) == ("POST", "https://auth.example.com/token")
    assert headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert parse_qs(body) == {
        "service": ["the.service"],
        "scope": ["repository:team/app:pull"],
        "grant_type": ["refresh_token"],
        "client_id": ["okd-libvirt"],
        "refresh_token": ["eyJ.of.mine"],
    }
    assert all("eyJ.of.mine" not in asked[1] for asked in registry.asked)


def test_an_identity_token_that_ended_is_refused_without_being_shown() -> None:
    registry = Scripted("a.azurecr.io", {"https://a.azurecr.io": identity("eyJ.of.mine")}, refuses=True)
    with pytest.raises(Refused) as refused:
        registry.get("manifests", "team/app", "1")
    assert refused.value.status == 401
    assert "eyJ" not in str(refused.value)
