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
    given = {"bootImage": settings.boot_image.kernel_arguments}
    given |= {f"machines.{name}": machine.kernel_arguments for name, machine in settings.machines.items()}
    for section, arguments in given.items():
        for number, argument in enumerate(arguments):
            key = argument.partition("=")[0]
            for kind in KINDS:
                if kind.holds(key):
                    harm = kind.harm.format(key=key)
                    yield Problem(f"{section}.kernelArguments[{number}]", argument, harm, kind.fix)
                    break
