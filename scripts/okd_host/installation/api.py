"""The cluster's API, asked with the set's own credentials.

Owns one connection, TLS verified by the authority of the set on this host, and what its failures mean. Does not own
what is asked. An `Api` is for one thread.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from okd_host import limits, tls
from okd_host.ignition import KUBECONFIG, guard

DATA = {
    name: re.compile(rf"^[ -]*{name}-data:\s*\"?([A-Za-z0-9+/=]+)", re.MULTILINE)
    for name in ("certificate-authority", "client-certificate", "client-key")
}
JSON = "application/json"
METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class Silent(Exception):
    """No answer, or none that means anything yet: unreachable, TLS not there, or an error of the server's own."""


class Refused(Exception):
    """The API has answered, and will not do it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Api:
    """The API at `address`, whatever the name server says of its name."""

    def __init__(self, url: str, address: str, kubeconfig: str, limit: float = limits.API_REQUEST.seconds) -> None:
        split = urlsplit(url)
        self.host, self.port = str(split.hostname), split.port or 443
        self.address = address or self.host
        self.limit = limit
        self._data = _data(kubeconfig)
        self._context = _context(self._data)
        self._kept: _Connection | None = None
        # When the server said its last answer, by its own clock.
        self.date: float | None = None

    @classmethod
    def of(cls, where: Mapping[str, str], limit: float = limits.API_REQUEST.seconds) -> Api:
        """The API of a document's `api` ({"url", "address"}). Raises Silent when this host has no credentials."""
        try:
            with guard.reading() as read:
                kubeconfig = read(KUBECONFIG).decode()
        except FileNotFoundError:
            raise Silent("there are no credentials of a cluster on this host") from None
        return cls(where["url"], where.get("address", ""), kubeconfig, limit)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """What is at `path`; `query` as the API names its parameters."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def find(self, path: str) -> dict[str, Any] | None:
        """The object at `path`; None where there is none."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def metadata(self, path: str) -> list[dict[str, Any]]:
        """The objects of a collection without anything but their metadata: nothing secret is asked for."""
        found = self._ask("GET", path, accept=METADATA)
        return list(found.get("items") or [])

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object."""
        return self._ask("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; refused when it has changed since its `resourceVersion`."""
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        """Change an object by a merge, strategic or json patch."""
        return self._ask("PATCH", path, body, PATCHES[kind])

    def delete(self, path: str) -> dict[str, Any]:
        """Remove an object."""
        return self._ask("DELETE", path)

    @contextmanager
    def kubeconfig(self) -> Iterator[str]:
        """The path of a kubeconfig that reaches the same API in the same way; in memory, and gone afterwards."""
        cluster = {
            "server": f"https://{self.address}:{self.port}",
            "tls-server-name": self.host,
            "certificate-authority-data": self._data["certificate-authority"],
        }
        user = {f"{name}-data": self._data[name] for name in ("client-certificate", "client-key")}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "own", "cluster": cluster}],
            "users": [{"name": "own", "user": user}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
            "current-context": "own",
        }
        with _in_memory(json.dumps(document).encode()) as path:
            yield path

    def _ask(self, method: str, path: str, body: Any = None, kind: str = JSON, accept: str = JSON) -> dict[str, Any]:
        # A connection that was kept may have been closed meanwhile: what may be asked twice is, on a new one.
        kept, self._kept = self._kept, None
        if kept and method == "GET":
            with suppress(Silent):
                return self._once(kept, method, path, body, kind, accept)
        if kept:
            kept.close()
        return self._once(_Connection(self), method, path, body, kind, accept)

    def _once(
        self, connection: _Connection, method: str, path: str, body: Any, kind: str, accept: str
    ) -> dict[str, Any]:
        headers = {"Accept": accept, "User-Agent": "okd-host"}
        if body is not None:
            headers["Content-Type"] = kind
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Silent(f"{self.address}:{self.port}: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Silent(f"{self.address}:{self.port}: {_words(error)}") from error
        self.date = _date(answer.getheader("Date"))
        if answer.status >= 500:
            connection.close()
            raise Silent(f"{method} {path}: {answer.status} {_message(content)}")
        self._kept = connection
        if answer.status >= 300:
            raise Refused(answer.status, _message(content))
        return _object(content)


class _Connection(http.client.HTTPSConnection):
    """TLS to a known address for a name."""

    def __init__(self, api: Api) -> None:
        super().__init__(api.host, api.port, timeout=api.limit, context=api._context)
        self._address, self._tls = api.address, api._context

    def connect(self) -> None:
        """Connect to the address, and verify the name in the certificate."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _data(kubeconfig: str) -> dict[str, str]:
    found = {}
    for name, pattern in DATA.items():
        match = pattern.search(kubeconfig)
        if not match:
            raise Silent(f"the kubeconfig on this host has no {name}-data")
        found[name] = match[1]
    return found


def _context(data: Mapping[str, str]) -> ssl.SSLContext:
    context = tls.trusting(b64decode(data["certificate-authority"]).decode())
    pair = b64decode(data["client-certificate"]) + b"\n" + b64decode(data["client-key"])
    with _in_memory(pair) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file for this user's programs that is on no disk and goes with this process."""
    descriptor = os.memfd_create("okd-host")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _date(text: str | None) -> float | None:
    """The moment in a Date header, in seconds since 1970."""
    with suppress(TypeError, ValueError, IndexError):
        return parsedate_to_datetime(text or "").timestamp()
    return None


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _object(content: bytes) -> dict[str, Any]:
    """The object in an answer; that of /readyz is a word."""
    try:
        document = json.loads(content)
    except ValueError:
        return {"text": content.decode(errors="replace")}
    return document if isinstance(document, dict) else {"value": document}


def _message(content: bytes) -> str:
    found = _object(content)
    return str(found.get("message") or found.get("text") or found)[:500].strip()
