"""Whether a kubelet has its serving certificate is seen at its own port, and silence is never taken for one."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.installation.conftest import Agent
from tests.installation.fake_api import authority


@contextmanager
def listening(context: ssl.SSLContext) -> Iterator[int]:
    """A server with this TLS, at a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with suppress(OSError):
                        context.wrap_socket(connection, server_side=True).close()
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def with_certificate() -> ssl.SSLContext:
    pair = authority().pair("system:node:compute-0", host="compute-0")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


@pytest.mark.parametrize("has", [True, False])
def test_a_kubelet_serves_once_it_has_a_certificate(agent: Agent, monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    kubelet = agent.load("installation.kubelet")
    with listening(with_certificate() if has else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as port:
        monkeypatch.setattr(kubelet, "PORT", port)
        done, said = kubelet.serves("127.0.0.1")
    assert done is has
    assert ("has no serving certificate yet" in said) is not has


def test_a_kubelet_that_does_not_answer_is_not_known_to_serve(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = agent.load("installation.kubelet")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(kubelet, "PORT", port)
    assert kubelet.serves("127.0.0.1") == (
        False,
        f"its kubelet does not answer at 127.0.0.1:{port}: Connection refused",
    )
