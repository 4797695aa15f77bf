"""Names and MACs of a stack's libvirt objects, all derived from the stack's name.

Owns that two stacks on one hypervisor never collide: names are unique, bridges are 32 bits of a digest, MACs 24 bits,
which two isolated networks may share. Does not own what the objects are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(("okd-libvirt", *parts)).encode()).hexdigest()


def derived_mac(stack: str, name: str) -> str:
    """A stable MAC under QEMU's prefix 52:54:00 for a machine of a stack."""
    tail = _digest(stack, "mac", name)
    return f"52:54:00:{tail[0:2]}:{tail[2:4]}:{tail[4:6]}"


@dataclass(frozen=True)
class Names:
    """Names of one stack's libvirt objects."""

    stack: str

    @property
    def prefix(self) -> str:
        """What every object's name starts with."""
        return f"okd-{self.stack}"

    @property
    def pool(self) -> str:
        """The storage pool."""
        return self.prefix

    @property
    def cluster_network(self) -> str:
        """The isolated network of the cluster."""
        return f"{self.prefix}-cluster"

    @property
    def uplink_network(self) -> str:
        """The services host's way out."""
        return f"{self.prefix}-uplink"

    @property
    def cluster_bridge(self) -> str:
        """The cluster network's bridge: a digest, since an interface name ends at 15 characters."""
        return f"okdc-{_digest(self.stack)[:8]}"

    @property
    def uplink_bridge(self) -> str:
        """The bridge of the uplink network that is made when the settings name no existing one."""
        return f"okdu-{_digest(self.stack)[:8]}"

    @property
    def cluster_mac(self) -> str:
        """The services host's card on the cluster network."""
        return derived_mac(self.stack, "services/cluster")

    @property
    def uplink_mac(self) -> str:
        """The services host's card on the uplink."""
        return derived_mac(self.stack, "services/uplink")

    def domain(self, machine: str) -> str:
        """A machine's libvirt domain.

        Stack `a-b` with machine `c` must not be stack `a` with machine `b-c`: a stack whose name holds a hyphen joins
        with an underscore, which no machine's name can hold. A dot would not do: libvirt's own log of `a-b.console`
        would be the console log of `a-b`.
        """
        return f"{self.prefix}{'_' if '-' in self.stack else '-'}{machine}"

    def volume(self, machine: str, kind: str) -> str:
        """A volume in the stack's pool, of kind `root`, `data-0` and so on; unique even if pools share a directory."""
        return f"{self.domain(machine)}-{kind}"
