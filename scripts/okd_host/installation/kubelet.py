"""Whether a machine's kubelet has its serving certificate, seen at its own port.

Owns that question. A Node is Ready without one, and its request may come minutes later; until it is approved nobody
reads logs or metrics of its pods. Does not own whether the certificate is good: the API's servers verify it.
"""

from __future__ import annotations

import socket
import ssl

from okd_host import limits

PORT = 10250


def serves(address: str) -> tuple[bool, str]:
    """Whether the kubelet shows a certificate, and what it does in its place."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, PORT), limits.KUBELET.seconds) as plain,
            context.wrap_socket(plain),
        ):
            return True, "its kubelet serves with its certificate"
    except ssl.SSLError:
        return False, "its kubelet has no serving certificate yet"
    except OSError as error:
        return False, f"its kubelet does not answer at {address}:{PORT}: {error.strerror or error}"
