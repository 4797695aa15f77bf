"""Validity of X.509 certificates, read from their PEM text.

Owns just enough DER for two dates: one `openssl` for each of the fifty certificates of a set would take seconds. Does
not own trust: nothing is verified here.
"""

from __future__ import annotations

import base64
import calendar
import re
import time
from typing import NamedTuple

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
VERSION, UTC_TIME, GENERALIZED_TIME = 0xA0, 0x17, 0x18


class Validity(NamedTuple):
    """From when until when a certificate is good, in seconds since 1970."""

    made: float
    expiry: float


def moment(seconds: float) -> str:
    """`seconds` as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def validities(text: bytes) -> list[Validity]:
    """The validity of every PEM certificate in `text`, in order. Raises ValueError for one that cannot be read."""
    try:
        return [_validity(base64.b64decode(match[1])) for match in PEM.finditer(text)]
    except IndexError:
        raise ValueError("a certificate is cut short") from None


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, first byte and end of the element at `at`."""
    tag, length, at = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(der[at : at + size], "big"), at + size
    return tag, at, at + length


def _validity(der: bytes) -> Validity:
    at = _element(der, _element(der, 0)[1])[1]
    if der[at] == VERSION:
        at = _element(der, at)[2]
    for _ in ("serial number", "algorithm", "issuer"):
        at = _element(der, at)[2]
    at = _element(der, at)[1]
    return Validity(_time(der, at), _time(der, _element(der, at)[2]))


def _time(der: bytes, at: int) -> float:
    tag, start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text[0] >= "5" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("no date where a certificate's validity should be")
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))
