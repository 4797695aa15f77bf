"""Asking a registry: tokens, redirects and content that is checked."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator

import pytest

from okd_host.logins import Login, Logins
from okd_host.mirror.registry import Refused, Registry
from tests.mirroring.conftest import Made
from tests.mirroring.token_registry import CONTENT, PASSWORD, Server

pytestmark = pytest.mark.release

DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server(made: Made) -> Iterator[Server]:
    found = Server(made.path / "tls")
    yield found
    found.shutdown()
    found.server_close()


def registry(server: Server, made: Made, password: str = PASSWORD) -> Registry:
    context = ssl.create_default_context(cafile=str(made.path / "tls/upstream-ca.crt"))
    # Its certificate is for the tests' upstream.
    context.check_hostname = False
    host = f"localhost:{server.port}"
    user, _, word = password.partition(":")
    known = Logins({f"{host}/okd": Login(user, word), host: Login("wrong", "word")})
    return Registry(host, context, known, tries=2)


def test_a_token_is_asked_for_once_with_the_most_specific_credentials(server: Server, made: Made) -> None:
    asked = registry(server, made)
    assert asked.get("manifests", "okd/x", DIGEST) == CONTENT
    assert asked.get("manifests", "okd/x", "4.19") == CONTENT
    assert server.tokens == 1


def test_a_token_that_ended_is_renewed(server: Server, made: Made) -> None:
    asked = registry(server, made)
    asked.get("manifests", "okd/x", DIGEST)
    server.ended = 1
    assert asked.get("manifests", "okd/x", DIGEST) == CONTENT
    assert server.tokens == 2


def test_a_blob_somewhere_else_is_fetched_there_without_the_token(server: Server, made: Made) -> None:
    assert registry(server, made).get("blobs", "okd/x", DIGEST) == CONTENT
    (there,) = [sent for path, sent in server.asked if path == "/elsewhere"]
    assert there == ""


def test_credentials_that_get_no_token_are_refused_as_such(server: Server, made: Made) -> None:
    with pytest.raises(Refused) as refused:
        registry(server, made, "reader:of-nothing").get("manifests", "okd/x", DIGEST)
    assert refused.value.status == 401
    assert "of-nothing" not in str(refused.value)


def test_content_with_another_digest_is_not_handed_out(server: Server, made: Made) -> None:
    with pytest.raises(Refused, match="what comes has another digest"):
        registry(server, made).get("manifests", "okd/x", f"sha256:{'5' * 64}")
