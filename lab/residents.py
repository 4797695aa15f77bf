"""The stacks that share this checkout's lab.

Owns: which stand in it, read from what the lab's libvirt has defined, whether or not it runs (a stack's storage pool is
the first thing that is made of it and the last that goes); that one run at a time sets it up, and that none ends it
under another's feet. Does not own: what Pulumi's state holds. Standard library only.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from lab import checkout
from lab.progress import say

_DEFINED = checkout.HYPERVISOR / "etc-libvirt"
PREFIX = "okd-"
NETWORKS = ("-cluster", "-uplink")
_SETTING_UP, _IN_USE = "set-up.lock", "in-use.lock"


def stacks() -> set[str]:
    """The names of all stacks of which the lab's libvirt has the pool or a network."""
    pools = {path.stem for path in (_DEFINED / "storage").glob(f"{PREFIX}*.xml")}
    networks = {path.stem for path in (_DEFINED / "qemu" / "networks").glob(f"{PREFIX}*.xml")}
    owners = pools | {name.removesuffix(end) for name in networks for end in NETWORKS if name.endswith(end)}
    return {name.removeprefix(PREFIX) for name in owners}


@contextmanager
def setting_up() -> Iterator[None]:
    """Set the lab up alone; another run that does is waited for."""
    with _locked(_SETTING_UP, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        if alone:
            yield
            return
    say("waiting for another run of this checkout, which sets up what is missing")
    with _locked(_SETTING_UP, fcntl.LOCK_EX):
        yield


@contextmanager
def using() -> Iterator[None]:
    """Work in the lab, which is not ended meanwhile; one that is just being ended is waited for."""
    with _locked(_IN_USE, fcntl.LOCK_SH):
        yield


@contextmanager
def ending() -> Iterator[bool]:
    """Whether the lab may be ended: nobody works in it, nor begins to before this is left."""
    with _locked(_IN_USE, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        yield alone


@contextmanager
def _locked(name: str, how: int) -> Iterator[bool]:
    """A lock that the kernel takes back from a killed process; False when it is not to be waited for and taken."""
    checkout.LAB.mkdir(exist_ok=True)
    with (checkout.LAB / name).open("a") as file:
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            yield False
        else:
            yield True
