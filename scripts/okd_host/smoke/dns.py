"""DNS as the machines would ask: a small client for A and PTR, over UDP and TCP.

Owns questions and answers in the wire format, as far as these records need it.
"""

from __future__ import annotations

import os
import socket
import struct
from functools import partial

from okd_host import limits
from okd_host.smoke.table import Row, compare, each

TYPES = {"A": 1, "CNAME": 5, "PTR": 12}
TRIES = 3


def question(name: str, kind: str, ident: bytes) -> bytes:
    """One question with recursion desired."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.rstrip(".").split("."))
    return ident + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", TYPES[kind], 1)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name at `at`, and where the data goes on; pointers (RFC 1035 4.1.4) lead backwards only."""
    labels, end = [], 0
    while data[at]:
        if data[at] & 0xC0:
            end = end or at + 2
            target = struct.unpack("!H", data[at : at + 2])[0] & 0x3FFF
            if target >= at:
                raise ValueError("a name in the answer points forward")
            at = target
            continue
        labels.append(data[at + 1 : at + 1 + data[at]].decode(errors="replace"))
        at += 1 + data[at]
    return ".".join(labels), end or at + 1


def answers(data: bytes, kind: str) -> list[str]:
    """The values of the answer section, sorted. Raises ValueError with the server's refusal."""
    flags, questions, count = struct.unpack("!HHH", data[2:8])
    if flags & 15:
        names = {1: "format error", 2: "server failure", 3: "no such name", 5: "refused"}
        raise ValueError(names.get(flags & 15, f"code {flags & 15}"))
    at = 12
    for _ in range(questions):
        at = _name(data, at)[1] + 4
    found = []
    for _ in range(count):
        _, at = _name(data, at)
        number, length = struct.unpack("!H6xH", data[at : at + 10])
        at += 10
        if number == TYPES[kind]:
            found.append(socket.inet_ntoa(data[at : at + 4]) if kind == "A" else _name(data, at)[0].lower())
        at += length
    return sorted(found)


def _tcp(server: str, asked: bytes) -> bytes:
    with socket.create_connection((server, 53), timeout=limits.SMOKE_ANSWER.seconds) as connection:
        connection.sendall(struct.pack("!H", len(asked)) + asked)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
            more = connection.recv(4096)
            if not more:
                raise ValueError("the server closed the connection")
            data += more
    return data[2:]


def _udp(server: str, asked: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((server, 53))
        link.settimeout(limits.DATAGRAM.seconds)
        for attempt in range(TRIES):
            link.send(asked)
            try:
                data = link.recv(4096)
            except socket.timeout:
                if attempt + 1 == TRIES:
                    raise
                continue
            if data[:2] == asked[:2]:
                break
    # Truncated: ask again over TCP.
    return _tcp(server, asked) if data[2] & 2 else data


def lookup(server: str, name: str, kind: str, *, tcp: bool = False) -> list[str]:
    """The values that `server` has for `name`, sorted. Raises OSError or ValueError."""
    asked = question(name, kind, os.urandom(2))
    return answers(_tcp(server, asked) if tcp else _udp(server, asked), kind)


def records(server: str, rows: list[dict[str, str]]) -> list[Row]:
    """One row for each name and type, and one for TCP."""
    expected: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        expected.setdefault((row["name"], row["type"]), []).append(row["value"].rstrip(".").lower())

    def ask(name: str, kind: str, tcp: bool) -> Row:
        check = f"{kind} {name}{' over TCP' if tcp else ''}"
        return compare(check, sorted(expected[name, kind]), lookup(server, name, kind, tcp=tcp))

    items = [
        (f"{kind} {name}", ", ".join(sorted(values)), partial(ask, name, kind, False))
        for (name, kind), values in expected.items()
    ]
    items += [
        (f"{kind} {name} over TCP", ", ".join(sorted(expected[name, kind])), partial(ask, name, kind, True))
        for name, kind in list(expected)[:1]
    ]
    return each(items)
