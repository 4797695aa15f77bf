"""TLS: whom a connection trusts.

Owns the contexts that every client of this agent starts from. Does not own connections, nor what failures mean.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

# By this name since Python 3.10.
PARTIAL_CHAIN = getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)


def trusting(*authorities: str, files: Iterable[str] = ()) -> ssl.SSLContext:
    """A client's context that verifies names and trusts these authorities (PEM; paths in `files`) and no others.

    As for oc and curl, an issuing CA is trusted by itself: the root above it need not be known. Raises OSError for a
    file that cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Newer Pythons refuse authorities without the key identifiers that the installer leaves out.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.verify_flags |= PARTIAL_CHAIN
    for authority in authorities:
        context.load_verify_locations(cadata=authority)
    for path in files:
        context.load_verify_locations(path)
    return context


def outside(authorities: Iterable[str] = ()) -> ssl.SSLContext:
    """A client's context for servers elsewhere: it trusts what this host trusts, and `authorities` (PEM)."""
    context = trusting(*authorities)
    context.load_default_certs()
    return context
