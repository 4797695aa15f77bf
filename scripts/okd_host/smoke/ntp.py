"""Time as the machines would ask: one SNTP question (RFC 4330).

Owns the wait for a server that was started a moment ago and does not answer as synchronised yet.
"""

from __future__ import annotations

import socket
import struct
import time

from okd_host import limits
from okd_host.smoke.table import Row

PAUSE = 0.5
EPOCH = 2208988800
UNSYNCHRONISED = 3


def offset(server: str) -> tuple[float, int]:
    """This host's offset to `server` in seconds, and the server's stratum. Raises OSError or ValueError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((server, 123))
        link.settimeout(limits.DATAGRAM.seconds)
        sent = time.time()
        whole = int(sent)
        link.send(struct.pack("!B39xII", 0x23, whole + EPOCH, int((sent - whole) * 2**32)))
        data = link.recv(512)
        received = time.time()
    if len(data) < 48:
        raise ValueError("an answer too short")
    seconds = struct.unpack("!8I", data[16:48])
    arrived, left = (seconds[at] - EPOCH + seconds[at + 1] / 2**32 for at in (4, 6))
    stratum = data[1]
    if data[0] >> 6 == UNSYNCHRONISED or not 0 < stratum < 16:
        raise ValueError("not synchronised")
    return ((arrived - sent) + (left - received)) / 2, stratum


def check(server: str, limit: float) -> list[Row]:
    """The row for time."""
    name, expected = f"time from {server}", f"offset below {limit:g} s"
    deadline = time.monotonic() + limits.SMOKE.seconds
    while True:
        try:
            found, stratum = offset(server)
        except (OSError, ValueError) as error:
            # A port that is closed is no server that is slow.
            if isinstance(error, ConnectionRefusedError) or time.monotonic() > deadline:
                return [Row(name, expected, str(error), False)]
            time.sleep(PAUSE)
            continue
        return [Row(name, expected, f"{found:+.6f} s, stratum {stratum}", abs(found) <= limit)]
