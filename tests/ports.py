"""Ports on loopback for servers that choose none themselves, or that come back on the port they had.

Owns: that no connection and no other test, in this process or beside it, gets the same one.
"""

from __future__ import annotations

import random
import socket

# Below those that Linux gives to outgoing connections: one of them would be taken again before a server is there.
_RANGE = range(20000, 32000)
_held: list[socket.socket] = []


def free_port() -> int:
    """A port that nothing listens on, kept from everybody else who asks here until this process ends."""
    for port in random.sample(_RANGE, 1000):
        # An abstract name is as exclusive as a port, and gone with its process.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0okd-libvirt-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _held.append(claim)
        return port
    raise AssertionError("no port is free")


def free_address() -> str:
    """The same, as an address on loopback."""
    return f"127.0.0.1:{free_port()}"
