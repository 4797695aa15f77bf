"""PEM texts taken apart, so that nothing in them goes unread.

Owns what is a block, its begin and its end, and which lines are no text between blocks but part of a damaged one: most
programs pass over those without a word. Does not own what a block holds (certificates.py).
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field

MARKER = re.compile(r"-----(BEGIN|END) ([A-Z0-9](?:[A-Z0-9 ]*[A-Z0-9])?)-----")
# What was a marker once: hyphens lost or made into dashes by an editor, a letter lost, more on the same line.
_DASH = r"[-\u2010-\u2015\u2212]"
_KIND = r".*\b(?:CERTIFICATE|KEY|CRL|PKCS7|CMS|REQUEST|PARAMETERS)\b"
DAMAGED = re.compile(
    rf"[^\w#]*{_DASH}{{3,}}\s*(?:BEGIN|END)"
    rf"|[^\w#]*{_DASH}+\s*(?i:(?:begin|end)\s{_KIND})"
    rf"|(?:BEGIN|END)\s{_KIND}.*{_DASH}{{2,}}\s*$"
)
# One line of base64 outside of any block; a digest in hexadecimal is a comment.
STRAY = re.compile(r"(?![0-9A-Fa-f]+$)[A-Za-z0-9+/]{40,}={0,2}")
HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*:\s")
FOREIGN = re.compile(r"[^A-Za-z0-9+/=]")
# A longer line may hold part of a key.
SHORT = 40


@dataclass(frozen=True)
class Block:
    """One block: its kind (`CERTIFICATE`), number and line, counted from one, its text, and what is encoded in it."""

    kind: str
    number: int
    line: int
    text: str
    content: bytes


@dataclass(frozen=True)
class Fault:
    """What cannot be read: of which block, in which line, and why; `kind` where the block still tells it."""

    number: int
    line: int
    what: str
    kind: str = ""

    def __str__(self) -> str:
        return f"block {self.number}, line {self.line}: {self.what}"


@dataclass
class _Open:
    """A block that has begun; `known` where it is one that a fault was told of already."""

    kind: str
    number: int
    line: int
    known: bool = False
    lines: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, what: str, line: int = 0) -> list[Fault]:
        return [] if self.known else [Fault(self.number, line or self.line, what, self.kind)]

    def closed(self, kind: str, line: int) -> Block | list[Fault]:
        if self.known:
            return []
        if kind != self.kind:
            return self.fault(f"begins as {self.kind} and ends as {kind}", line)
        body = [(count, text) for count, text in self.lines if text]
        for count, text in body:
            if HEADER.match(text):
                return self.fault("a header within the block, and programs skip blocks with headers", count)
            if stray := FOREIGN.search(text):
                return self.fault(f"{stray[0]!r} is no character of base64", count)
        try:
            content = b64decode("".join(text for _, text in body), validate=True)
        except ValueError:
            return self.fault("its base64 does not end where it should: characters are missing or too many")
        if not content:
            return self.fault("is empty")
        text = "\n".join([f"-----BEGIN {kind}-----", *(text for _, text in self.lines), f"-----END {kind}-----", ""])
        return Block(kind, self.number, self.line, text, content)


def blocks(text: str) -> tuple[list[Block], list[Fault]]:
    """Every block of a PEM text, and everything in it that is neither a readable block nor text between blocks.

    Blanks around lines, a byte order mark and all line ends are taken.
    """
    found: list[Block] = []
    faults: list[Fault] = []
    number, opened = 0, None
    for count, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        plain = line.strip()
        marker = MARKER.fullmatch(plain)
        if marker and marker[1] == "BEGIN":
            if opened is not None:
                faults += opened.fault(f"has no END line before the next one begins in line {count}")
            number += 1
            opened = _Open(marker[2], number, count)
        elif marker and opened is not None:
            read = opened.closed(marker[2], count)
            if isinstance(read, Block):
                found.append(read)
            else:
                faults += read
            opened = None
        elif marker or DAMAGED.match(plain):
            if opened is not None and "BEGIN" not in plain.upper():
                faults += opened.fault(f"{_shown(plain)} is no END line", count)
                opened = None
                continue
            if opened is not None:
                faults += opened.fault("has no END line")
            number += 1
            what = "ends without a BEGIN line" if marker else f"{_shown(plain)} is no BEGIN line"
            faults.append(Fault(number, count, what, _kind(plain)))
            opened = None if marker else _Open("", number, count, known=True)
        elif opened is not None:
            opened.lines.append((count, plain))
        elif STRAY.fullmatch(plain):
            number += 1
            faults.append(Fault(number, count, "base64 that no BEGIN line comes before"))
            opened = _Open("", number, count, known=True)
    if opened is not None:
        faults += opened.fault("has no END line")
    return found, faults


def _kind(plain: str) -> str:
    """The kind that a damaged marker still tells."""
    return "PRIVATE KEY" if "PRIVATE KEY" in plain.upper() else ""


def _shown(plain: str) -> str:
    return f'"{plain}"' if len(plain) <= SHORT else "what stands there"
