"""Texts without secrets: what is known to be one on this host, and what looks like one.

Owns finding them. Does not own what the texts are for.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from okd_host import files
from okd_host.ignition import KUBECONFIG, PASSWORD, guard
from okd_host.report import HIDDEN

# Shorter texts would be found where they mean something else.
SHORTEST = 8
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# A PEM text in base64 begins like this, whatever it holds.
ENCODED_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]+")
PUBLIC = (b"-----BEGIN CERTIFICATE", b"-----BEGIN PUBLIC KEY")
NAMED = re.compile(
    r"""(\b(?:auth|password|passwd|token|bearerToken|client-key-data)["']?\s*[:=]\s*["']?)([^\s"',}]{8,})""",
    re.IGNORECASE,
)
HEADER = re.compile(r"(?i)\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}")
SECRET_MEMBERS = ("auths", "data", "stringData")
# The same in YAML: everything below one of these words.
SECRET_BLOCK = re.compile(r"^(?:data|stringData):[ ]*\n((?:[ \t]+\S.*\n?)+)", re.MULTILINE)
CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)")


def _values(document: Any) -> Iterator[str]:
    """The texts in a JSON document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from _values(value)
    elif isinstance(document, list):
        for value in document:
            yield from _values(value)
    elif isinstance(document, str):
        yield document


def _members(document: Any) -> Iterator[str]:
    """The secret texts in a JSON document: credentials of registries, data of a Secret."""
    if isinstance(document, dict):
        for key in SECRET_MEMBERS:
            yield from _values(document.get(key))


def _forms(content: str) -> Iterator[str]:
    """A secret as it may show: whole, encoded, by line, and what it consists of."""
    yield content.strip()
    for whole in (content, content.strip()):
        yield base64.b64encode(whole.encode()).decode()
    parts: list[str] = []
    with suppress(ValueError):
        parts = list(_members(json.loads(content)))
    for block in SECRET_BLOCK.findall(content):
        parts += [line.strip() for line in block.splitlines()]
    if len(content.split()) == 1:
        parts.append(content.strip())
    for part in parts:
        yield from _tails(part)
        with suppress(ValueError):
            yield from _tails(base64.b64decode(part.rpartition(" ")[2], validate=True).decode())


def _tails(text: str) -> Iterator[str]:
    """A text, and what follows each of its colons: `user:password` shows without its user, too."""
    while text:
        yield text.strip().strip("'\"")
        text = text.partition(":")[2]


def _known() -> Iterator[str]:
    for directory, _, names in os.walk(files.SECRETS):
        for name in names:
            with suppress(UnicodeDecodeError), open(os.path.join(directory, name), encoding="utf-8") as file:
                yield from _forms(file.read())
    with suppress(FileNotFoundError), guard.reading() as read:
        yield from _forms(read(PASSWORD).decode())
        yield from re.findall(r"(?:client-key-data|token|password):\s*(\S+)", read(KUBECONFIG).decode())


def _encoded(match: re.Match[str]) -> str:
    with suppress(ValueError):
        if base64.b64decode(match[0][:40]).startswith(PUBLIC):
            return match[0]
    return HIDDEN


def scrubber() -> Callable[[str], str]:
    """What takes secrets out of a text; reads those of this host once."""
    known = sorted({text for text in _known() if len(text) >= SHORTEST}, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in known:
            text = text.replace(secret, HIDDEN)
        text = PRIVATE_KEY.sub(HIDDEN, text)
        text = ENCODED_PEM.sub(_encoded, text)
        text = CREDENTIALS_IN_URL.sub(HIDDEN, text)
        text = HEADER.sub(rf"\1 {HIDDEN}", text)
        return NAMED.sub(rf"\1{HIDDEN}", text)

    return clean
