"""HTTP and TLS as the machines would ask: boot files, the registry's door, the load balancer's ports.

Owns the requests. Bodies are read to their first 64 KiB only: boot images are large, and their sums were verified when
they were fetched.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from okd_host import limits, tls
from okd_host.smoke import dns
from okd_host.smoke.table import Row, broken, compare, each, patiently

PORT = 8080
BODY = 65536


class _At(http.client.HTTPConnection):
    """A connection to a known address for a host's name; over TLS when given a context."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__(host, port, timeout=limits.SMOKE_ANSWER.seconds)
        self._address = address
        self._context = context

    def connect(self) -> None:
        """Connect to the address, and verify the name in the certificate."""
        self.sock = socket.create_connection((self._address, self.port), limits.SMOKE_ANSWER.seconds)
        if self._context:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None) -> tuple[int, int]:
    """The status and the size of what `path` is, as the server declares it."""
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read(BODY)
        return answer.status, int(answer.headers.get("Content-Length") or len(body))
    finally:
        connection.close()


def files(server: str, paths: list[str]) -> list[Row]:
    """One row for each path on the boot server."""

    def ask(path: str) -> Row:
        status, size = get(http.client.HTTPConnection(server, PORT, timeout=limits.SMOKE_ANSWER.seconds), path)
        return Row(f"HTTP {path}", "200", f"{status}, {size} bytes", status == 200 and size > 0)

    return each([(f"HTTP {path}", "200", partial(ask, path)) for path in paths])


def registry(server: str, expected: dict[str, Any]) -> list[Row]:
    """TLS verified by the stack's CA alone, for the name as the cluster's DNS resolves it; then the password."""
    address = urlsplit(expected["url"])
    host, port = address.hostname or "", address.port or 443
    check = f"registry {host}:{port}"
    context = tls.trusting(expected["ca"])

    def ask(password: str) -> int:
        pair = base64.b64encode(f"{expected['user']}:{password}".encode()).decode()
        connection = _At(host, port, dns.lookup(server, host, "A")[0], context)
        return get(connection, "/v2/", {"Authorization": f"Basic {pair}"})[0]

    try:
        return [
            compare(
                f"{check} with the password, TLS verified", 200, patiently(check, partial(ask, expected["password"]))
            ),
            compare(f"{check} with a wrong password", 401, patiently(check, partial(ask, "this-is-not-the-password"))),
        ]
    except (OSError, IndexError, ValueError, http.client.HTTPException) as error:
        return [broken(f"{check}, TLS verified", "200 with the password, 401 with a wrong one", error)]


def load_balancer(server: str, expected: dict[str, Any]) -> list[Row]:
    """One row for each port, which must accept, and one for the page of statistics."""

    def accepts(port: int) -> Row:
        socket.create_connection((server, port), limits.SMOKE_ANSWER.seconds).close()
        return Row(f"load balancer port {port}", "accepts", "accepts", True)

    def statistics() -> Row:
        status, _ = get(http.client.HTTPConnection(server, expected["stats"], timeout=limits.SMOKE_ANSWER.seconds), "/")
        return compare("load balancer statistics", 200, status)

    ports = [(f"load balancer port {port}", "accepts", partial(accepts, port)) for port in expected["ports"]]
    return each([*ports, ("load balancer statistics", "200", statistics)])
