"""Validated values that settings are made of: addresses, networks, MACs, names, locations.

Owns their forms and, for each refusal, the harm and the fix that the settings report shows. Does not own relations
between values (settings_checks.py).
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

# An address and a network that were not given; what must be is reported, so no plan sees them.
UNSET, UNSET_NETWORK = IPv4Address(0), IPv4Network(0)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
SHA256 = re.compile(r"[0-9a-f]{64}")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
KERNEL_ARGUMENT = re.compile(r"[!#-\[\]-~]+")


def refused(harm: str, fix: str) -> PydanticCustomError:
    """A refusal that reads as one entry of the settings report."""
    return PydanticCustomError("refused", "{harm}: {fix}", {"harm": harm, "fix": fix})


def written(title: str, pattern: str, *examples: str) -> WithJsonSchema:
    """How a value is written, for editors and the reference page; the validator beside it knows more."""
    shown = {"examples": list(examples)} if examples else {}
    return WithJsonSchema({"type": "string", "title": title, "pattern": pattern} | shown)


def as_text(value: Any, what: str) -> str:
    """Text without blanks around it; `what` names it where YAML made something else of it."""
    if not isinstance(value, str):
        raise refused(f"{what} is text, this is not (YAML reads some unquoted values as numbers)", "put it in quotes")
    return value.strip()


def address(value: Any) -> IPv4Address:
    """An IPv4 address in dotted form."""
    if isinstance(value, IPv4Address):
        return value
    text = as_text(value, "an address")
    plain, slash, _ = text.partition("/")
    try:
        if slash:
            raise refused(
                "an address and a prefix length: the network is told by its own setting", f"write {IPv4Address(plain)}"
            )
        return IPv4Address(text)
    except AddressValueError as error:
        fix = "write it as 192.168.200.10"
        if re.fullmatch(r"[0-9a-fA-F]*:[0-9a-fA-F:.]+", text):
            raise refused("an IPv6 address, and the cluster is built on IPv4 alone", fix) from error
        raise refused("not an IPv4 address, so nothing could be leased or bound to it", fix) from error


def network(value: Any) -> IPv4Network:
    """An IPv4 network in CIDR form with no host bits set."""
    if isinstance(value, IPv4Network):
        return value
    text = as_text(value, "a network")
    fix = "write it as 192.168.200.0/24"
    if re.fullmatch(r"[0-9a-fA-F]*:[0-9a-fA-F:.]+(/.*)?", text):
        raise refused("an IPv6 network, and the cluster is built on IPv4 alone", fix)
    if "/" not in text:
        raise refused("a network without its prefix length is a single address", fix)
    try:
        return IPv4Network(text)
    except NetmaskValueError as error:
        raise refused("the prefix length is not one between 0 and 32", fix) from error
    except AddressValueError as error:
        raise refused("not an IPv4 network, so no address can be planned in it", fix) from error
    except ValueError as error:
        meant = IPv4Network(text, strict=False)
        raise refused(
            "the address has bits set beyond the prefix, so the network meant is unclear", f"write {meant}"
        ) from (error)


def mac(value: Any) -> str:
    """A unicast MAC address, in lower case with colons."""
    text = as_text(value, "a MAC").lower().replace("-", ":")
    if not MAC.fullmatch(text):
        raise refused(
            "not a MAC, so no lease would ever match the machine", 'write it as "52:54:00:12:34:56", in quotes'
        )
    if int(text[:2], 16) & 1:
        raise refused(
            "a multicast MAC (odd first byte): no network card may have it and libvirt refuses it",
            "make the first byte even, e.g. 52:54:00:…",
        )
    if text.startswith("fe:"):
        raise refused(
            "libvirt keeps MACs that start with fe for its own ends of the cards and refuses them for machines",
            "begin it with 52:54:00, or leave it out to have one derived",
        )
    if text == "00:00:00:00:00:00":
        raise refused("the all-zero MAC belongs to no network card", "leave it out to have one derived")
    return text


def label(value: Any) -> str:
    """One DNS label: lower-case letters, digits and inner hyphens, at most 63."""
    text = as_text(value, "a name")
    if not LABEL.fullmatch(text):
        raise refused(
            "not a DNS label, so the name server would refuse the record and the node would have no name",
            "use 1 to 63 lower-case letters, digits and hyphens; no hyphen at either end",
        )
    return text


def domain(value: Any) -> str:
    """A DNS domain of at least one label, without a trailing dot."""
    text = as_text(value, "a domain").removesuffix(".")
    if text.startswith("*."):
        raise refused(
            "a wildcard is a record, not a domain; the ingress gets its own, *.apps below the cluster's domain",
            f"write {text[2:]}",
        )
    if re.fullmatch(r"[0-9.]+", text):
        raise refused("numbers alone are an address, never a domain", "write a name such as example.com")
    if not text or not all(LABEL.fullmatch(part) for part in text.split(".")):
        raise refused(
            "not a DNS domain, so the name server would refuse the zone",
            "use labels of lower-case letters, digits and hyphens joined by dots, e.g. example.com",
        )
    return text


def sha256(value: Any) -> str:
    """A SHA-256 as 64 hexadecimal digits, lower case."""
    text = as_text(value, "a SHA-256").lower().removeprefix("sha256:")
    if not SHA256.fullmatch(text):
        raise refused(
            "not a SHA-256, so no download could ever match it",
            "give the 64 hexadecimal digits that `sha256sum` prints",
        )
    return text


def interface(value: Any) -> str:
    """The name of a network interface on the hypervisor."""
    text = as_text(value, "a bridge")
    if not INTERFACE.fullmatch(text):
        raise refused(
            "Linux has no interface of that name", "name an existing bridge of at most 15 characters, e.g. br0"
        )
    return text


def host(value: Any) -> str:
    """A host by address or by DNS name."""
    text = as_text(value, "a host")
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        pass
    if re.fullmatch(r"[0-9.]+", text):
        raise refused("not an IPv4 address", "write it as 192.168.125.1, or give a DNS name")
    return domain(text)


def kernel_argument(value: Any) -> str:
    """One kernel argument: no blanks, quotes or backslashes, which boot loaders read differently."""
    text = as_text(value, "a kernel argument")
    if not KERNEL_ARGUMENT.fullmatch(text):
        raise refused(
            "blanks, quotes and backslashes mean different things to PXELINUX and iPXE",
            "give each argument as an item of its own, e.g. [console=ttyS0, quiet]",
        )
    return text


_LABEL, _HEX = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "[0-9A-Fa-f]"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}(\.{_OCTET}){{3}}"
_NAMES = rf"{_LABEL}(\.{_LABEL})*\.?"
_MAC = rf"^(?!00([:-]00){{5}}$)(?![fF][eE]){_HEX}[02468aceACE]([:-]{_HEX}{{2}}){{5}}$"

Address = Annotated[IPv4Address, BeforeValidator(address), written("IPv4 address", f"^{_ADDRESS}$", "192.168.200.10")]
Network = Annotated[
    IPv4Network,
    BeforeValidator(network),
    written("IPv4 network", f"^{_ADDRESS}/([12]?[0-9]|3[0-2])$", "192.168.200.0/24"),
]
Mac = Annotated[str, BeforeValidator(mac), written("MAC", _MAC, "52:54:00:12:34:56")]
Label = Annotated[str, BeforeValidator(label), written("DNS label", f"^{_LABEL}$")]
Domain = Annotated[str, BeforeValidator(domain), written("DNS domain", rf"^(?![0-9.]+$){_NAMES}$", "example.com")]
Sha256 = Annotated[str, BeforeValidator(sha256), written("SHA-256", rf"^(sha256:)?{_HEX}{{64}}$")]
Interface = Annotated[str, BeforeValidator(interface), written("bridge", "^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$", "br0")]
Host = Annotated[
    str,
    BeforeValidator(host),
    written("address or DNS name", rf"^({_ADDRESS}|(?![0-9.]+$){_NAMES})$", "ntp.example.com"),
]
KernelArgument = Annotated[
    str, BeforeValidator(kernel_argument), written("kernel argument", r"^[!#-\[\]-~]+$", "console=ttyS0")
]
# Strict: text that looks like a number, or `true`, would pass otherwise.
Count = Annotated[int, Field(strict=True, ge=1, le=1024)]
Memory = Annotated[int, Field(strict=True, ge=64, le=16 * 1024 * 1024)]
Disk = Annotated[int, Field(strict=True, ge=1, le=64 * 1024)]
Switch = Annotated[bool, Field(strict=True)]
