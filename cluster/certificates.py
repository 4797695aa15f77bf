"""Certificates in PEM form.

Owns taking a text apart into its certificates, each read by OpenSSL, and the refusal of a text of which anything would
be left out: OpenSSL, Go and Python each pass over other parts of it without a word. Does not own which are trusted, nor
what a block is (pem.py).
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from cluster.pem import Block, Fault, blocks

CERTIFICATE = "CERTIFICATE"
# Where a program of these takes a block, the others do not; OpenSSL writes any of them as a plain certificate.
OTHER_CERTIFICATES = ("TRUSTED CERTIFICATE", "X509 CERTIFICATE")
PEM_FORM = "give a file with certificates in PEM form"
REPAIR = "copy that block again from where it comes from, or take it out"
SEQUENCE = 0x30


class Unread(ValueError):
    """A text that is not certificates alone; `faults` are pairs of what is wrong and how to put it right."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(harm for harm, _ in faults))


def load(path: Path) -> tuple[str, ...]:
    """Every certificate of a PEM file, as `certificates`.

    Raises:
        OSError: it cannot be read.
        Unread: it is no PEM file, or anything in it is no readable certificate.
    """
    content = path.read_bytes()
    if b"\0" in content or content[:1] == bytes([SEQUENCE]):
        harm = "not a text file: DER form perhaps"
        raise Unread([(harm, f"{PEM_FORM}: openssl x509 -inform der -in {path.name} -out {path.stem}.pem")])
    # Names between blocks may be in any encoding.
    return certificates(content.decode("utf-8-sig", errors="replace"))


def certificates(text: str) -> tuple[str, ...]:
    """Every certificate of a PEM text, each ending in a newline and without anything around it.

    Raises:
        Unread: there is none, or anything in it is no readable certificate; it tells of every block and line.
    """
    found, damaged = blocks(text)
    faults = {fault.number: _damage(fault) for fault in damaged} | {
        block.number: refusal for block in found if (refusal := _refusal(block))
    }
    if faults:
        raise Unread([faults[number] for number in sorted(faults)])
    if not found:
        raise Unread([("holds no certificate in PEM form", PEM_FORM)])
    return tuple(block.text for block in found)


def bundle(*texts: str) -> str:
    """The certificates of all texts, each once, in order, one after the other with nothing between.

    The installer refuses a bundle that has even a blank line after its last certificate.
    """
    return "".join(dict.fromkeys(block for text in texts for block in certificates(text)))


def _damage(fault: Fault) -> tuple[str, str]:
    if "PRIVATE KEY" in fault.kind:
        return _private(fault.number, fault.line)
    return f"{fault}: that certificate would be missing without a word", REPAIR


def _refusal(block: Block) -> tuple[str, str] | None:
    where = f"block {block.number}, line {block.line}"
    if "PRIVATE KEY" in block.kind:
        return _private(block.number, block.line)
    if block.kind in OTHER_CERTIFICATES:
        return (
            f"{where}: {block.kind} is OpenSSL's own form, which Go's programs pass over: it would be missing in them",
            "save that block in a file of its own, and put in its place what `openssl x509 -in FILE` prints",
        )
    if block.kind != CERTIFICATE:
        fix = "take it out"
        if block.kind in ("PKCS7", "CMS"):
            fix = "put in its place the certificates that `openssl pkcs7 -print_certs -in FILE` prints"
        return f"{where}: {block.kind}, which is no certificate that could be trusted", fix
    problem = _unreadable(block.content)
    return (f"{where}: {problem}", REPAIR) if problem else None


def _private(number: int, line: int) -> tuple[str, str]:
    harm = f"block {number}, line {line}: a private key, which belongs nowhere near a trust store"
    return harm, "take it out; if others could read the file, have a new key made"


def _unreadable(content: bytes) -> str:
    size = _size(content)
    if size is None or size > len(content):
        return "the certificate is cut short, or is none"
    if size < len(content):
        return f"{len(content) - size} bytes follow the certificate's end, and programs refuse it for that"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content)
    except ssl.SSLError:
        return "the certificate cannot be read"
    return ""


def _size(content: bytes) -> int | None:
    """How long the outermost part of a DER text says that it is, its own head included."""
    if len(content) < 2 or content[0] != SEQUENCE:
        return None
    if content[1] < 0x80:
        return 2 + content[1]
    count = content[1] & 0x7F
    return 2 + count + int.from_bytes(content[2 : 2 + count], "big")
