"""DHCP as the machines would ask: raw frames, their MAC in the request, this probe's MAC on the frame.

Owns the client side of DISCOVER, OFFER, REQUEST and ACK. Answers come by broadcast, so that no machine's port of the
bridge is learned wrongly; a lease is never released, because the machine it belongs to may be using it.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from okd_host import limits
from okd_host.smoke.table import Row, compare, gather, patiently

TRIES = 3
COOKIE = b"\x63\x82\x53\x63"
ROUTER, DNS, HOSTNAME, DOMAIN, NTP, REQUESTED, KIND, SERVER, WANTED, VENDOR, BOOTFILE, USER_CLASS = (
    *(3, 6, 12, 15, 42, 50, 53, 54, 55, 60, 67, 77),
)
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
PXE = {VENDOR: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 94: b"\x01\x02\x01"}
IPXE = {**PXE, USER_CLASS: b"iPXE"}


class Reply(NamedTuple):
    """A server's answer: `address` for the client, `next_server`, the header's boot file, options by number."""

    address: str
    next_server: str
    file: str
    options: dict[int, bytes]


def packet(kind: int, mac: bytes, xid: bytes, options: dict[int, bytes]) -> bytes:
    """A client's message with the broadcast flag."""
    wanted = bytes((1, ROUTER, DNS, HOSTNAME, DOMAIN, NTP, 66, BOOTFILE))
    rows = {KIND: bytes((kind,)), WANTED: wanted, **options}
    text = b"".join(bytes((number, len(value))) + value for number, value in rows.items())
    head = struct.pack("!BBBB4sHH16x16s192x4s", 1, 1, 6, 0, xid, 0, 0x8000, mac, COOKIE)
    return head + text + b"\xff"


def frame(source: bytes, payload: bytes) -> bytes:
    """`payload` from 0.0.0.0:68 to 255.255.255.255:67 as an Ethernet broadcast; UDP without a checksum."""
    udp = struct.pack("!HHHH", 68, 67, 8 + len(payload), 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return b"\xff" * 6 + source + b"\x08\x00" + head[:10] + struct.pack("!H", checksum) + head[12:] + udp + payload


def parse(data: bytes, mac: bytes, xid: bytes) -> Reply | None:
    """The answer in an Ethernet frame, when it is one to `xid` and `mac`."""
    ip = data[14:]
    if data[12:14] != b"\x08\x00" or len(ip) < 28 or ip[9] != 17:
        return None
    start = (ip[0] & 15) * 4
    message = ip[start + 8 :]
    if ip[start + 2 : start + 4] != b"\0\x44" or message[4:8] != xid or message[28:34] != mac:
        return None
    options: dict[int, bytes] = {}
    rest = message[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = options.get(rest[0], b"") + rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    file = message[108:236].split(b"\0")[0].decode(errors="replace")
    return Reply(socket.inet_ntoa(message[16:20]), socket.inet_ntoa(message[20:24]), file, options)


class Client:
    """One machine's MAC on the probe's device."""

    def __init__(self, device: str, own: str, mac: str) -> None:
        self.device = device
        self.own = bytes.fromhex(own.replace(":", ""))
        self.mac = bytes.fromhex(mac.replace(":", ""))

    def ask(self, kind: int, options: dict[int, bytes], answers: tuple[int, ...], patience: float) -> Reply | None:
        """Send one message and wait up to `patience` seconds for an answer of one of the kinds `answers`."""
        xid = os.urandom(4)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as link:
            link.bind((self.device, 0x0800))
            link.send(frame(self.own, packet(kind, self.mac, xid, options)))
            deadline = time.monotonic() + patience
            while (left := deadline - time.monotonic()) > 0:
                link.settimeout(left)
                try:
                    reply = parse(link.recv(2048), self.mac, xid)
                except socket.timeout:
                    break
                if reply and reply.options.get(KIND, b"\0")[0] in answers:
                    return reply
        return None

    def offer(self, options: dict[int, bytes]) -> Reply:
        """The OFFER to a DISCOVER, asked for a few times: a broadcast may get lost. Raises socket.timeout."""
        for _ in range(TRIES):
            if reply := self.ask(DISCOVER, options, (OFFER,), limits.DATAGRAM.seconds):
                return reply
        raise socket.timeout("no offer")

    def lease(self, options: dict[int, bytes]) -> Reply | None:
        """The ACK that follows an OFFER, None for a NAK. Raises socket.timeout when either does not come."""
        offer = self.offer(options)
        chosen = {REQUESTED: socket.inet_aton(offer.address), SERVER: offer.options.get(SERVER, b"")}
        for _ in range(TRIES):
            if reply := self.ask(REQUEST, {**options, **chosen}, (ACK, NAK), limits.DATAGRAM.seconds):
                return reply if reply.options[KIND][0] == ACK else None
        raise socket.timeout("no acknowledgement")


def _addresses(value: bytes) -> list[str]:
    return [socket.inet_ntoa(value[at : at + 4]) for at in range(0, len(value), 4)]


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _options(name: str, expected: dict[str, Any], reply: Reply) -> Row:
    got = reply.options
    pairs = {
        "router": ([expected["router"]] if expected["router"] else [], _addresses(got.get(ROUTER, b""))),
        "dns": (expected["dns"], _addresses(got.get(DNS, b""))),
        "ntp": (expected["ntp"], _addresses(got.get(NTP, b""))),
        "domain": (expected["domain"], _text(got.get(DOMAIN, b""))),
        "host name": (expected["fqdn"], _text(got.get(HOSTNAME, b""))),
        "next server": (expected["nextServer"], reply.next_server),
    }
    wrong = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    if not wrong:
        return Row(f"options {name}", ", ".join(pairs), "the same", True)
    shown = [", ".join(f"{key} {pair[side]}" for key, pair in wrong.items()) for side in (0, 1)]
    return Row(f"options {name}", shown[0], shown[1], False)


def _boot_file(name: str, client: str, expected: str, reply: Reply | None) -> Row:
    got = (reply.file or _text(reply.options.get(BOOTFILE, b""))) if reply else "no offer"
    return compare(f"boot file {name} ({client})", expected, got)


def machine(device: str, own: str, expected: dict[str, Any]) -> list[Row]:
    """The rows of one declared machine."""
    client, name = Client(device, own, expected["mac"]), expected["name"]
    lease = _or_none(f"lease {name}", partial(client.lease, PXE))
    if lease is None:
        return [Row(f"lease {name}", expected["address"], "no lease", False)]
    return [
        compare(f"lease {name}", expected["address"], lease.address),
        _options(name, expected, lease),
        _boot_file(name, "PXE", expected["bootFile"]["pxe"], lease),
        _boot_file(
            name,
            "iPXE",
            expected["bootFile"]["ipxe"],
            _or_none(f"offer to iPXE on {name}", partial(client.offer, IPXE)),
        ),
    ]


def _or_none(what: str, ask: Callable[[], Reply | None]) -> Reply | None:
    try:
        return patiently(what, ask)
    except socket.timeout:
        return None


def machines(device: str, own: str, rows: list[dict[str, Any]], answered: threading.Event) -> list[Row]:
    """The rows of every declared machine, asked for side by side: a silent server costs the patience only once."""
    try:
        return gather([(f"lease {expected['name']}", partial(machine, device, own, expected)) for expected in rows])
    finally:
        answered.set()


def stranger(device: str, own: str, answered: threading.Event) -> list[Row]:
    """A card that no machine has gets no offer, not even after all others have been `answered`: a slow server."""
    while True:
        last = answered.is_set()
        reply = Client(device, own, own).ask(DISCOVER, PXE, (OFFER,), limits.UNKNOWN_CARD.seconds)
        if reply or last:
            break
    got = f"offer of {reply.address}" if reply else "no offer"
    return [compare(f"lease for the unknown card {own}", "no offer", got)]
