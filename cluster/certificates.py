"""Certificates in PEM form.

Owns taking a text apart into its certificates, each read by OpenSSL. Does not own which are trusted.
"""

from __future__ import annotations

import re
import ssl

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----")


def certificates(text: str) -> tuple[str, ...]:
    """Every certificate of a PEM text, each ending in a newline and without anything around it.

    Raises:
        ValueError: there is none, or one cannot be read; the message says which.
    """
    if "PRIVATE KEY-----" in text:
        raise ValueError("holds a private key, which belongs nowhere near a trust store")
    found = BLOCK.findall(text)
    if not found:
        raise ValueError("holds no certificate in PEM form")
    for number, block in enumerate(found, 1):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block)
        except ssl.SSLError as error:
            raise ValueError(f"its certificate number {number} of {len(found)} cannot be read") from error
    return tuple("\n".join(line.strip() for line in block.splitlines()) + "\n" for block in found)


def bundle(*texts: str) -> str:
    """The certificates of all texts, each once, in order, one after the other with nothing between.

    The installer refuses a bundle that has even a blank line after its last certificate.
    """
    return "".join(dict.fromkeys(block for text in texts for block in certificates(text)))
