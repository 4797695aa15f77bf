"""Reading what `virsh` and the kernel print about a libvirt host.

Owns the parsing of libvirt's XML and lists and of files in /proc. Does not own asking, nor the facts' meaning.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, ParseError

from cluster.preflight.facts import Domain, Network, Nic, Pool, Processors, Route

__all__ = ["ParseError"]


def processors(text: str) -> Processors | None:
    """The answer of `virsh capabilities`."""
    for found in _documents(text, "capabilities"):
        architecture = found.findtext("host/cpu/arch", "")
        guests = [one for one in found.iter("arch") if one.get("name") == architecture]
        types = frozenset(str(kind.get("type")) for guest in guests for kind in guest.iter("domain"))
        # Some stand below a domain type, where they differ by it.
        machines = frozenset(str(one.text).strip() for guest in guests for one in guest.iter("machine"))
        # Every hypervisor shows its guests this flag.
        virtual = any(one.get("name") == "hypervisor" for one in found.findall("host/cpu/feature"))
        return Processors(architecture, types, virtual, machines)
    return None


def cpus(text: str) -> int | None:
    """The number of CPUs in the answer of `virsh nodeinfo`."""
    found = re.search(r"^CPU\(s\):\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def memory_free_mib(text: str) -> int | None:
    """Free memory in the answer of `virsh nodememstats`, with what the kernel would give up for it."""
    known = {key: int(value) for key, value in re.findall(r"^(\w+)\s*:\s+(\d+) KiB", text, re.MULTILINE)}
    return sum(known.get(key, 0) for key in ("free", "buffers", "cached")) // 1024 if "free" in known else None


def meminfo_available_mib(text: str) -> int | None:
    """The kernel's own estimate of what can be used, from /proc/meminfo."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) // 1024 if found else None


def resident_mib(text: str) -> dict[str, int]:
    """Memory that running domains take, by name, from `virsh domstats --balloon`; what is not told counts in full."""
    found = {}
    for name, rows in re.findall(r"^Domain: '(.*)'\n((?:  .*\n?)*)", text, re.MULTILINE):
        values = dict(re.findall(r"^  balloon\.(\w+)=(\d+)", rows, re.MULTILINE))
        if taken := values.get("rss") or values.get("current"):
            found[name] = int(taken) // 1024
    return found


def listed(text: str) -> list[str]:
    """The first words of a list's lines: UUIDs, or names."""
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def volumes(text: str) -> frozenset[str] | None:
    """Names in the answer of `virsh vol-list`."""
    _, rule, rows = text.partition("-----\n")
    return frozenset(listed(rows)) if rule else None


def domains(text: str, resident: Mapping[str, int]) -> tuple[Domain, ...]:
    """Domains from any number of `virsh dumpxml`."""
    return tuple(
        Domain(
            name=name,
            uuid=one.findtext("uuid", ""),
            active=one.get("id") is not None,
            memory_mib=int(one.findtext("memory", "0")) // 1024,
            resident_mib=resident.get(name) if one.get("id") is not None else None,
            nics=tuple(_nics(one)),
        )
        for one in _documents(text, "domain")
        for name in [one.findtext("name", "")]
    )


def _nics(domain: Element) -> Iterator[Nic]:
    for one in domain.findall("devices/interface"):
        mac, source = one.find("mac"), one.find("source")
        if mac is not None and source is not None:
            yield Nic(str(mac.get("address")).lower(), source.get("network"), source.get("bridge"))


def networks(text: str, active: frozenset[str]) -> tuple[Network, ...]:
    """Networks from any number of `virsh net-dumpxml`; `active` holds UUIDs."""
    found = []
    for one in _documents(text, "network"):
        bridge, uuid = one.find("bridge"), one.findtext("uuid", "")
        found.append(
            Network(
                name=one.findtext("name", ""),
                uuid=uuid,
                active=uuid in active,
                bridge=bridge.get("name") if bridge is not None else None,
                subnets=tuple(_subnets(one)),
            )
        )
    return tuple(found)


def _subnets(network: Element) -> Iterator[IPv4Network]:
    for one in network.findall("ip"):
        length = one.get("prefix") or one.get("netmask")
        if one.get("family", "ipv4") == "ipv4" and length:
            yield IPv4Network(f"{one.get('address')}/{length}", strict=False)


def pools(text: str, active: frozenset[str]) -> tuple[Pool, ...]:
    """Pools from any number of `virsh pool-dumpxml`; an inactive one does not tell its free space."""
    return tuple(
        Pool(
            name=one.findtext("name", ""),
            uuid=uuid,
            active=uuid in active,
            path=one.findtext("target/path"),
            free=int(one.findtext("available", "0")) if uuid in active else None,
        )
        for one in _documents(text, "pool")
        for uuid in [one.findtext("uuid", "")]
    )


def routes(text: str) -> tuple[Route, ...]:
    """Routes from /proc/net/route, whose numbers are in the machine's byte order; the default route is none of them."""
    found = []
    for line in text.splitlines()[1:]:
        interface, target, router, flags, *_, mask = line.split()[:8]
        length = int(mask, 16).bit_count()
        if int(flags, 16) & 1 and length:
            network = IPv4Network((int(target, 16).to_bytes(4, sys.byteorder), length), strict=False)
            found.append(Route(network, interface, direct=int(router, 16) == 0))
    return tuple(found)


def addresses(text: str) -> frozenset[IPv4Address]:
    """This machine's own addresses, from /proc/net/fib_trie."""
    return frozenset(IPv4Address(one) for one in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", text))


def _documents(text: str, tag: str) -> list[Element]:
    """All documents of a kind in a text that is nothing but documents. Raises ParseError."""
    return ElementTree.fromstring(f"<all>{text}</all>").findall(tag)
