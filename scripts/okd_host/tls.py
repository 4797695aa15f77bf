"""TLS to the cluster: whom a connection trusts.

Owns the one context that the clients of a running cluster start from. Does not own connections, nor what failures mean.
"""

from __future__ import annotations

import ssl


def trusting(*authorities: str) -> ssl.SSLContext:
    """A client's context that verifies names and trusts these authorities (PEM) and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Newer Pythons refuse authorities without the key identifiers that the installer leaves out.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    for authority in authorities:
        context.load_verify_locations(cadata=authority)
    return context
