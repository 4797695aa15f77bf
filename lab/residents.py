"""Which stacks stand in this checkout's lab.

Owns: reading that from what the lab's libvirt has defined, whether or not it runs: a stack's storage pool is the first
thing that is made of it and the last that goes. Does not own: what Pulumi's state holds. Standard library only.
"""

from __future__ import annotations

from lab import checkout

_DEFINED = checkout.HYPERVISOR / "etc-libvirt"
PREFIX = "okd-"
NETWORKS = ("-cluster", "-uplink")


def stacks() -> set[str]:
    """The names of all stacks of which the lab's libvirt has the pool or a network."""
    pools = {path.stem for path in (_DEFINED / "storage").glob(f"{PREFIX}*.xml")}
    networks = {path.stem for path in (_DEFINED / "qemu" / "networks").glob(f"{PREFIX}*.xml")}
    owners = pools | {name.removesuffix(end) for name in networks for end in NETWORKS if name.endswith(end)}
    return {name.removeprefix(PREFIX) for name in owners}
