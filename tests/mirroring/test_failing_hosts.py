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
    with pytest.raises(registry.Unreached) as caught:
        asked.ping("okd/scos-content")
    about = SimpleNamespace(source=MIRROR, host="services.okd.example.com:5000")
    failure = job.Job.unreachable(about, "the release cannot be read", caught.value)
    assert f"the connection to {place} does not last" in failure.why
    assert "ConnectionRefusedError" in failure.message
    assert f"check the way to {place}" in failure.remedy


def test_a_mirror_is_told_from_a_source_by_what_its_release_names(agent: Any) -> None:
    payload = agent.load("mirror.payload")
    images = (payload.Image("cli", "sha256:0", "quay.io/okd/scos-content", "x"),)
    release = payload.Release("sha256:1", "4.22.0-okd-scos.7", MIRROR, images)
    with pytest.raises(agent.failed) as caught:
        payload.check(release, version=None, sources=[MIRROR])
    failure: Any = caught.value
    assert "takes images from quay.io/okd/scos-content" in failure.why
    assert f"{MIRROR} is a mirror, then, and no source by itself" in failure.remedy
    assert "If the services host reaches quay.io, add it to release.sources" in failure.remedy
    assert "release.media" in failure.remedy


def test_a_payload_beside_its_release_is_no_mirror(agent: Any) -> None:
    payload = agent.load("mirror.payload")
    images = (payload.Image("cli", "sha256:0", "mirror.example.com:5000/openshift/content", "x"),)
    release = payload.Release("sha256:1", "4.22.0-okd-scos.7", MIRROR, images)
    with pytest.raises(agent.failed) as caught:
        payload.check(release, version=None, sources=[MIRROR])
    assert "is a mirror" not in getattr(caught.value, "remedy", "")
