"""What a certificate signing request asks for: its subject and its alternative names.

Owns a strict reader of PKCS#10 in PEM. Strict, since what is read here decides and the signer reads the bytes again:
anything that another reader might take otherwise, or that a kubelet does not write, raises ValueError. Does not own the
signature, which the API has verified, nor what may be asked for.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple

PEM = re.compile(
    r"\s*-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*", re.ASCII
)
LARGEST = 64 * 1024
BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8, PRINTABLE = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0C, 0x13
SEQUENCE, SET, ATTRIBUTES = 0x30, 0x31, 0xA0
COMMON_NAME, ORGANIZATION = "2.5.4.3", "2.5.4.10"
EXTENSION_REQUEST, ALTERNATIVE_NAMES = "1.2.840.113549.1.9.14", "2.5.29.17"
DNS_NAME, IP_ADDRESS = 0x82, 0x87
KINDS = {0xA0: "other name", 0x81: "e-mail", 0xA3: "X.400", 0xA4: "directory", 0xA5: "EDI", 0x86: "URI", 0x88: "OID"}
PRINTABLE_TEXT = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*", re.ASCII)


class Request(NamedTuple):
    """Subject and alternative names; `others` says what else is in either, such as an e-mail address or a country."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    others: tuple[str, ...]


class _Element(NamedTuple):
    tag: int
    content: bytes


def parse(pem: bytes) -> Request:
    """Read one request. Raises ValueError for anything but a single well-formed one."""
    if len(pem) > LARGEST:
        raise ValueError(f"longer than {LARGEST} bytes")
    match = PEM.fullmatch(pem.decode("ascii"))
    if not match:
        raise ValueError("not one PEM block CERTIFICATE REQUEST")
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None
    info, algorithm, signature = _exactly(_only(der, SEQUENCE), SEQUENCE, SEQUENCE, BIT_STRING)
    del algorithm, signature
    version, subject, key, attributes = _exactly(info, INTEGER, SEQUENCE, SEQUENCE, ATTRIBUTES)
    del key
    if version != b"\0":
        raise ValueError("not version 1")
    names = list(_subject(subject))
    dns, addresses, other_names = _alternative_names(attributes)
    return Request(
        common_name=_single([text for kind, text in names if kind == COMMON_NAME]),
        organizations=tuple(text for kind, text in names if kind == ORGANIZATION),
        dns=dns,
        addresses=addresses,
        others=(*(kind for kind, _ in names if kind not in (COMMON_NAME, ORGANIZATION)), *other_names),
    )


def _single(texts: list[str]) -> str:
    if len(texts) > 1:
        raise ValueError("more than one common name")
    return texts[0] if texts else ""


def _subject(content: bytes) -> Iterator[tuple[str, str]]:
    """The subject's attributes: kind and text."""
    for relative in _elements(content):
        pairs = list(_elements(_is(relative, SET)))
        if not pairs:
            raise ValueError("an empty part of the subject")
        for pair in pairs:
            kind, text = _both(_is(pair, SEQUENCE))
            yield _oid(_is(kind, OID)), _text(text)


def _alternative_names(attributes: bytes) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """DNS names, addresses and the kinds of others, out of the request's attributes."""
    found = [_exactly(_is(one, SEQUENCE), OID, SET) for one in _elements(attributes)]
    if any(_oid(kind) != EXTENSION_REQUEST for kind, _ in found) or len(found) > 1:
        raise ValueError("attributes other than one request for extensions")
    dns: list[str] = []
    addresses: list[str] = []
    others: list[str] = []
    for _, values in found:
        extensions = list(_elements(_only(values, SEQUENCE)))
        if len(extensions) != 1:
            raise ValueError("not exactly one extension")
        for name in _elements(_only(_extension(extensions[0]), SEQUENCE)):
            if name.tag == DNS_NAME:
                dns.append(_ascii(name.content))
            elif name.tag == IP_ADDRESS and len(name.content) in (4, 16):
                addresses.append(str(ipaddress.ip_address(name.content)))
            elif name.tag in KINDS:
                others.append(KINDS[name.tag])
            else:
                raise ValueError("an alternative name of no known kind")
    return tuple(dns), tuple(addresses), tuple(others)


def _extension(element: _Element) -> bytes:
    """The value of the extension, which must be the alternative names."""
    parts = list(_elements(_is(element, SEQUENCE)))
    if len(parts) == 3 and parts[1] == _Element(BOOLEAN, b"\xff"):
        del parts[1]
    if len(parts) != 2 or _oid(_is(parts[0], OID)) != ALTERNATIVE_NAMES:
        raise ValueError("an extension other than alternative names")
    return _is(parts[1], OCTET_STRING)


def _elements(content: bytes) -> Iterator[_Element]:
    """The elements that follow one another in `content`, in DER: definite lengths, as short as can be."""
    at = 0
    while at < len(content):
        tag = content[at]
        if tag & 0x1F == 0x1F or at + 2 > len(content):
            raise ValueError("an element that is cut short, or has a long tag")
        length, at = content[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            head = content[at : at + size]
            length, at = int.from_bytes(head, "big"), at + size
            if not 1 <= size <= 3 or len(head) != size or head[0] == 0 or length < 0x80:
                raise ValueError("a length that is not DER")
        if at + length > len(content):
            raise ValueError("an element that is cut short")
        yield _Element(tag, content[at : at + length])
        at += length


def _is(element: _Element, tag: int) -> bytes:
    if element.tag != tag:
        raise ValueError(f"an element of type {element.tag:#04x} instead of {tag:#04x}")
    return element.content


def _exactly(content: bytes, *tags: int) -> list[bytes]:
    """The contents of elements of exactly these types."""
    found = list(_elements(content))
    if len(found) != len(tags):
        raise ValueError(f"{len(found)} elements instead of {len(tags)}")
    return [_is(element, tag) for element, tag in zip(found, tags)]


def _only(content: bytes, tag: int) -> bytes:
    return _exactly(content, tag)[0]


def _both(content: bytes) -> tuple[_Element, _Element]:
    found = list(_elements(content))
    if len(found) != 2:
        raise ValueError("an attribute that is no pair")
    return found[0], found[1]


def _oid(content: bytes) -> str:
    if not content or content[-1] & 0x80:
        raise ValueError("an object identifier that is cut short")
    numbers, number, fresh = [], 0, True
    for byte in content:
        if fresh and byte == 0x80:
            raise ValueError("an object identifier that is not DER")
        number, fresh = number << 7 | byte & 0x7F, not byte & 0x80
        if fresh:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(part) for part in (first, numbers[0] - 40 * first, *numbers[1:]))


def _text(element: _Element) -> str:
    if element.tag == PRINTABLE:
        text = _ascii(element.content)
        if PRINTABLE_TEXT.fullmatch(text):
            return text
    elif element.tag == UTF8:
        return element.content.decode("utf-8")
    raise ValueError("a text that is neither UTF-8 nor printable ASCII")


def _ascii(content: bytes) -> str:
    return content.decode("ascii")
