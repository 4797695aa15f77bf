"""Whether the cluster of a set is up: the API is asked, over TLS verified with the set's own authority.

Owns one question and what its answers mean. Does not own what follows from them.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from okd_host import tls

UP = "up"
STARTING = "starting"
FOREIGN = "foreign"
SILENT = "silent"
AUTHORITY = re.compile(r"^\s*certificate-authority-data:\s*(\S+)", re.MULTILINE)
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
PAUSE = 1.0


def authority(kubeconfig: str) -> str:
    """The PEM of the authorities that a kubeconfig trusts. Raises ValueError when it names none."""
    match = AUTHORITY.search(kubeconfig)
    if not match:
        raise ValueError("the kubeconfig names no certificate authority")
    return base64.b64decode(match[1]).decode()


def ask(api: Mapping[str, str], trusted: str | None, *, limit: float, tries: int = 1) -> str:
    """The state of the cluster at `api` ({"url", "address"}): UP, STARTING, FOREIGN or SILENT.

    STARTING is one of this set's machines that answers, but not yet well; FOREIGN one with certificates of another
    authority than `trusted` (of any, where that is None). A certificate of ours that has expired is as good as SILENT:
    a bootstrap that did not come to its end in a day never will.
    """
    state = SILENT
    for again in range(tries):
        if again:
            time.sleep(PAUSE)
        state = _ask(api, trusted, limit)
        if state != SILENT:
            break
    return state


def _context(trusted: str | None) -> ssl.SSLContext:
    context = tls.trusting(*([trusted] if trusted is not None else []))
    if trusted is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _ask(api: Mapping[str, str], trusted: str | None, limit: float) -> str:
    url = urlsplit(api["url"])
    host, port = str(url.hostname), url.port or 443
    verified = False
    try:
        connection = socket.create_connection((api.get("address") or host, port), timeout=limit)
        with connection, _context(trusted).wrap_socket(connection, server_hostname=host) as secure:
            if trusted is None:
                return FOREIGN
            verified = True
            return UP if any(_status(secure, host, path) == 200 for path in ("/readyz", "/version")) else STARTING
    except ssl.SSLCertVerificationError as error:
        return SILENT if error.verify_code == EXPIRED else FOREIGN
    except (OSError, ValueError, IndexError):
        return STARTING if verified else SILENT


def _status(connection: ssl.SSLSocket, host: str, path: str) -> int:
    """The HTTP status of one request on a connection that is kept."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: okd-host\r\n\r\n".encode())
    reader = connection.makefile("rb")
    status = int(reader.readline().split()[1])
    length = 0
    while line := reader.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    reader.read(length)
    return status
