"""A look at the services host's image: whether the libvirt provider can have it, and what it is.

Owns reading the first bytes of a file, or of what a URL leads to, by the requests that the provider makes. Does not own
the image's identity (image.py) nor what follows from what is found.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from pathlib import Path

from cluster import limits
from cluster.preflight.facts import Image

QCOW2, SECTOR = b"QFI\xfb", 512
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")


def look(location: str) -> Image:
    """What is at a path or behind a URL; never raises."""
    return _behind(location) if "://" in location else _in(Path(location))


def _in(path: Path) -> Image:
    try:
        with path.open("rb") as file:
            return _judged(file.read(SECTOR), path.stat().st_size)
    except FileNotFoundError:
        return Image(wrong="there is no such file on this machine")
    except OSError as error:
        return Image(wrong=f"it cannot be read ({error.strerror})")


def _behind(url: str) -> Image:
    """The provider asks for the length, then for a part (terraform-provider-libvirt 0.8.1, volume_image.go)."""
    try:
        status, headers, _ = _asked(url, "HEAD")
        if status == 403:
            status, headers, _ = _asked(url, "GET")
        if status != 200:
            return Image(wrong=f"the server answers {status}")
        length = headers.get("Content-Length", "")
        if not length.isdecimal():
            return Image(wrong="the server does not say how long it is (no Content-Length)")
        status, _, begins = _asked(url, "GET", Range=f"bytes=0-{SECTOR - 1}")
    except (OSError, HTTPException, ValueError) as error:
        return Image(silent=str(getattr(error, "reason", error)) or type(error).__name__)
    if status != 206:
        return Image(wrong=f"the server sends no part of it (it answers {status} to a request with Range)")
    return _judged(begins, int(length))


def _asked(url: str, method: str, **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=limits.IMAGE_LOOK.seconds) as answer:
            return answer.status, answer.headers, answer.read(SECTOR) if headers else b""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, b""


def _judged(begins: bytes, length: int) -> Image:
    if begins.startswith(QCOW2) and any(begins[8:16]):
        return Image(wrong="it holds only what differs from another image, its backing file")
    if begins.startswith(QCOW2):
        return Image(form="qcow2", size=int.from_bytes(begins[24:32], "big"))
    if begins.startswith(COMPRESSED):
        return Image(wrong="it is compressed, and nothing unpacks it")
    if begins[510:] == b"\x55\xaa":
        return Image(form="raw", size=length)
    return Image(wrong="it is neither a qcow2 image nor a raw disk with a partition table")
