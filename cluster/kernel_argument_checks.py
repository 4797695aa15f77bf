"""Kernel arguments of the settings that would undo what the program gives itself, or what a machine is.

Owns these checks and their harm and fix. Does not own the form of an argument (values.py), nor the program's own
(boot.py). coreos-installer's service hands dracut's network arguments on to the installed system's first boot, and
those of s390x for good: what is wrong in them outlives the installation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.settings_problems import Problem

if TYPE_CHECKING:
    from cluster.settings import Settings


@dataclass(frozen=True)
class Kind:
    """Arguments that are refused for one reason, by name in lower case and by how their names begin."""

    names: frozenset[str]
    prefixes: tuple[str, ...]
    harm: str
    fix: str

    def holds(self, key: str) -> bool:
        """Whether the argument of that name is one of them."""
        return key.lower() in self.names or key.startswith(self.prefixes)


# The serial port whose output libvirt keeps.
SERIAL = "console=ttyS0"
FOLLOWS = "remove it; addresses, disks and ignition configs follow from the settings"
KINDS = (
    Kind(
        frozenset({"ip", "rd.neednet", "initrd", "nameserver", "bootif", "okd.report"}),
        ("coreos.inst", "coreos.live.", "ignition."),
        "the program gives {key} itself or relies on its absence: of two, one is lost without a word",
        FOLLOWS,
    ),
    Kind(
        frozenset({"bond", "vlan", "team", "bridge", "ifname", "bootdev"}),
        ("rd.znet", "rd.zfcp", "rd.dasd", "zfcp.", "cio_ignore"),
        "a machine has one virtio card and virtio disks, and {key} is about others: the installer takes it over into "
        "the node, which comes up with another card or with none",
        "remove it; the card is set up by DHCP, and what is beneath it belongs on the libvirt host's bridge",
    ),
    Kind(
        frozenset({"rd.route", "rd.peerdns", "rd.bootif", "coreos.no_persist_ip", "coreos.force_persist_ip"}),
        (),
        "the card is set up by DHCP, and {key} goes over what the lease says of routes and name servers, in the "
        "installed node too",
        "remove it; network.router and the services host's name server are what every machine gets",
    ),
    Kind(
        frozenset({"root", "netroot", "nfsroot", "fcoe"}),
        ("rd.iscsi.", "rd.nvmf."),
        "{key} names another root file system than the live system's own: it would not start",
        "remove it; machines are installed to their first disk",
    ),
)


def check(settings: Settings) -> Iterator[Problem]:
    """Every argument that is refused."""
    for section, arguments in _given(settings).items():
        for number, argument in enumerate(arguments):
            key = argument.partition("=")[0]
            for kind in KINDS:
                if kind.holds(key):
                    harm = kind.harm.format(key=key)
                    yield Problem(f"{section}.kernelArguments[{number}]", argument, harm, kind.fix)
                    break


def doubts(settings: Settings) -> Iterator[Problem]:
    """Consoles that libvirt keeps nothing of; those of the boot image are every machine's as well."""
    everywhere: tuple[str, ...] = ()
    for section, arguments in _given(settings).items():
        own = tuple(argument for argument in arguments if argument.startswith("console="))
        everywhere = own if section == "bootImage" else everywhere
        if own and not any(argument.startswith(SERIAL) for argument in (*everywhere, *own)):
            harm = "the libvirt host keeps what is printed on ttyS0, and nothing would be: no failed boot could be read"
            yield Problem(f"{section}.kernelArguments", " ".join(own), harm, "add console=ttyS0,115200n8")


def _given(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Kernel arguments by section, the boot image's first."""
    given = {"bootImage": settings.boot_image.kernel_arguments}
    return given | {f"machines.{name}": machine.kernel_arguments for name, machine in settings.machines.items()}
