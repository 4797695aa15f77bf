"""TFTP as the machines' ROMs would ask: whole files, in octets (RFC 1350, block size of RFC 2348).

Owns one read request and its acknowledgements.
"""

from __future__ import annotations

import socket
import struct
from functools import partial

from okd_host import limits
from okd_host.smoke.table import Row, each

TRIES, BLOCK = 3, 1400
DATA, ACK, ERROR, OPTIONS = 3, 4, 5, 6


def fetch(server: str, path: str) -> int:
    """The size of the file `path`, read to its end. Raises OSError or ValueError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(limits.DATAGRAM.seconds)
        request = struct.pack("!H", 1) + b"\0".join((path.encode(), b"octet", b"blksize", str(BLOCK).encode(), b""))
        # The answers come from a port of their own.
        last, target, wanted, size, block = request, (server, 69), 1, 0, 512
        tries = 0
        link.sendto(last, target)
        while True:
            try:
                data, source = link.recvfrom(65536)
            except socket.timeout:
                tries += 1
                if tries == TRIES:
                    raise
                link.sendto(last, target)
                continue
            kind, number = struct.unpack("!HH", data[:4].ljust(4, b"\0"))
            if kind == ERROR:
                raise ValueError(data[4:].split(b"\0")[0].decode(errors="replace") or f"error {number}")
            if kind == OPTIONS:
                number, block = 0, BLOCK
            elif kind != DATA or number != wanted & 0xFFFF:
                continue
            else:
                size, wanted, tries = size + len(data) - 4, wanted + 1, 0
            last, target = struct.pack("!HH", ACK, number), source
            link.sendto(last, target)
            if kind == DATA and len(data) - 4 < block:
                return size


def check(server: str, paths: list[str]) -> list[Row]:
    """One row for each file."""

    def ask(path: str) -> Row:
        size = fetch(server, path)
        return Row(f"TFTP {path}", "a file", f"{size} bytes", size > 0)

    return each([(f"TFTP {path}", "a file", partial(ask, path)) for path in paths])
