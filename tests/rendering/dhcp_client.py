"""Asks for a lease as a machine does: `dhcp_client.py INTERFACE MAC [USER_CLASS]` prints what was offered as JSON.

Prints `null` when nobody offered one within three seconds. Standard library only: it runs in the probe's namespace.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys

ADDRESSES = {1: "netmask", 3: "router", 6: "dns", 42: "ntp"}
TEXTS = {12: "hostname", 15: "domain"}
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
BROADCAST = 0x8000


def message(kind: int, mac: bytes, transaction: bytes, extra: bytes) -> bytes:
    """One DHCP message from a client without an address, answered by broadcast."""
    head = struct.pack("!BBBB4sHH16s", 1, 1, 6, 0, transaction, 0, BROADCAST, b"")
    wanted = bytes([55, 7, 1, 3, 6, 12, 15, 42, 119])
    options = bytes([53, 1, kind]) + wanted + extra + b"\xff"
    return head + mac.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + options


def parsed(packet: bytes) -> dict[int, bytes]:
    """The options of a message by number."""
    found: dict[int, bytes] = {}
    at = 240
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        length = packet[at + 1]
        found[packet[at]] = packet[at + 2 : at + 2 + length]
        at += 2 + length
    return found


def ask(link: socket.socket, mac: bytes, kind: int, extra: bytes) -> bytes | None:
    """Send one message and wait for its answer."""
    transaction = os.urandom(4)
    link.sendto(message(kind, mac, transaction, extra), ("255.255.255.255", 67))
    try:
        while True:
            packet = link.recv(4096)
            if packet[4:8] == transaction and packet[0] == 2:
                return packet
    except TimeoutError:
        return None


def main(interface: str, mac_text: str, user_class: str = "") -> None:
    """Discover and request; print the lease."""
    mac = bytes.fromhex(mac_text.replace(":", ""))
    extra = bytes([77, len(user_class)]) + user_class.encode() if user_class else b""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    link.bind(("", 68))
    link.settimeout(3)
    offer = ask(link, mac, DISCOVER, extra)
    if offer is None:
        print("null")
        return
    server = parsed(offer)[54]
    wanted = bytes([54, 4]) + server + bytes([50, 4]) + offer[16:20] + extra
    # Who has offered is there, and may be slow.
    link.settimeout(600)
    ack = ask(link, mac, REQUEST, wanted)
    assert ack is not None, "an offer, and no acknowledgement"
    options = parsed(ack)
    assert options[53] == bytes([ACK]), "the request was refused"
    lease: dict[str, object] = {
        "address": socket.inet_ntoa(ack[16:20]),
        "next_server": socket.inet_ntoa(ack[20:24]),
        "boot_file": ack[108:236].split(b"\0")[0].decode(),
        "seconds": int.from_bytes(options[51], "big"),
    }
    lease |= {name: socket.inet_ntoa(options[code]) for code, name in ADDRESSES.items() if code in options}
    lease |= {name: options[code].decode() for code, name in TEXTS.items() if code in options}
    print(json.dumps(lease))


if __name__ == "__main__":
    main(*sys.argv[1:])
