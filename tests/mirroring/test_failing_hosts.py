"""A failure names the server that failed, not the one that the release was asked of."""

from __future__ import annotations

import socket
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from tests.installation.conftest import agent

__all__ = ["agent"]
MIRROR = "mirror.example.com:5000/openshift/okd4"
PLACES = [MIRROR, "quay.io/okd/scos-content", "ghcr.io/a/b"]
GET = 'error: unable to retrieve source image quay.io/okd/scos-content manifest sha256:0: Get "https://quay.io/v2/": '
MESSAGES = {
    GET + "dial tcp: lookup quay.io on 10.20.0.2:53: no such host": "quay.io",
    GET + "dial tcp 192.0.2.1:443: connect: connection refused": "quay.io",
    'error: unable to open source layer: Get "https://cdn01.quay.io/x?sig=a/b": EOF': "cdn01.quay.io",
    'Get "https://auth.docker.io/token?service=x": dial tcp: lookup auth.docker.io: no such host': "auth.docker.io",
    "error: ghcr.io/a/b@sha256:0: manifest unknown": "ghcr.io",
    "uploading to https://services.okd.example.com:5000/v2/: digest invalid for quay.io/okd/scos-content": "quay.io",
    "error: something went wrong": "mirror.example.com:5000",
}


@pytest.mark.parametrize(("message", "host"), MESSAGES.items(), ids=MESSAGES.values())
def test_the_server_that_oc_speaks_of_is_named(agent: Any, message: str, host: str) -> None:
    assert agent.load("mirror.trouble").host_in(message, PLACES, "services.okd.example.com:5000") == host


def test_a_registry_that_cannot_be_reached_is_named_and_not_the_releases(agent: Any) -> None:
    registry, job = agent.load("mirror.registry"), agent.load("mirror.job")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    asked = registry.Registry(place, ssl.create_default_context(), {}, tries=1)
    with pytest.raises(agent.load("mirror.trouble").Unreached) as caught:
        asked.ping("okd/scos-content")
    about = SimpleNamespace(source=MIRROR, host="services.okd.example.com:5000")
    failure = job.Job.unreachable(about, "the release cannot be read", caught.value)
    assert f"the connection to {place} does not last" in failure.why
    assert "ConnectionRefusedError" in failure.message
    assert f"check the way to {place}" in failure.remedy


def release_of(payload: Any, *sources: str) -> Any:
    images = tuple(payload.Image(f"image-{number}", f"sha256:{number}", one, "x") for number, one in enumerate(sources))
    return payload.Release("sha256:9", "4.22.0-okd-scos.7", MIRROR, images)


ORIGIN, BESIDE = "quay.io/okd/scos-content", "mirror.example.com:5000/openshift/release"


@pytest.mark.parametrize(("kept", "place"), [(MIRROR, MIRROR), (BESIDE, BESIDE), ("", "")])
def test_a_mirrors_payload_is_fetched_where_it_lies(agent: Any, kept: str, place: str) -> None:
    payload = agent.load("mirror.payload")
    asked: list[str] = []

    def has(source: str, digest: str) -> bool:
        asked.append(source)
        return source == kept

    release = release_of(payload, ORIGIN, ORIGIN)
    found = payload.located(release, [MIRROR, BESIDE, ORIGIN], has)
    assert [image.origin for image in found.images] == [place or ORIGIN] * 2
    assert [image.source for image in found.images] == [ORIGIN] * 2, "nodes ask for them by these names"
    assert found.from_mirror == bool(place)
    assert ORIGIN not in asked


def test_a_payload_at_the_releases_registry_is_asked_for_by_its_name(agent: Any) -> None:
    payload = agent.load("mirror.payload")
    release = release_of(payload, BESIDE)

    def has(source: str, digest: str) -> bool:
        raise AssertionError("nothing is to be looked for")

    assert payload.located(release, [MIRROR, BESIDE], has) == release
