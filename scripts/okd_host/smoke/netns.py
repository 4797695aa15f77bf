"""A place inside the cluster network: a network namespace with one end of a veth pair in the bridge.

Owns the namespace and the pair, also those that a killed run left. Python 3.12 has os.setns; before that libc's is
called, so that the interpreter need not start a second time inside.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from okd_host import commands, report

NAME = "okd-smoke"
OUTER = "okd-smoke"
INNER = "probe"
CLONE_NEWNET = 0x40000000
T = TypeVar("T")


def remove() -> None:
    """Remove the namespace and the pair; nothing happens when they are not there."""
    commands.run(["ip", "netns", "delete", NAME])
    # The kernel takes a deleted namespace's devices away later; the name must be free now.
    commands.run(["ip", "link", "delete", OUTER])


@contextmanager
def inside(bridge: str, address: str, prefix: int) -> Iterator[str]:
    """The namespace with `address` on the device INNER; yields that device's MAC."""
    if not os.path.isdir(f"/sys/class/net/{bridge}/bridge"):
        raise report.Failed(
            f"there is no bridge {bridge} on this host",
            remedy="see `networkctl` on the services host: the cluster network's card belongs into that bridge",
        )
    remove()
    try:
        setup = [
            ["ip", "netns", "add", NAME],
            ["ip", "link", "add", OUTER, "master", bridge, "up", "type", "veth", "peer", "name", INNER, "netns", NAME],
            ["ip", "-netns", NAME, "address", "add", f"{address}/{prefix}", "dev", INNER],
            ["ip", "-netns", NAME, "link", "set", INNER, "up"],
        ]
        for argv in setup:
            result = commands.run(argv)
            if result.code:
                raise report.Failed(
                    "the place inside the cluster network cannot be made",
                    check=" ".join(argv),
                    message=result.output,
                    remedy="run as root; see `ip link` on the services host",
                )
        shown = commands.run(["ip", "-netns", NAME, "-oneline", "link", "show", "dev", INNER]).output.split()
        yield shown[shown.index("link/ether") + 1]
    finally:
        remove()


def _enter() -> None:
    descriptor = os.open(f"/run/netns/{NAME}", os.O_RDONLY)
    try:
        if hasattr(os, "setns"):
            os.setns(descriptor, CLONE_NEWNET)
        elif ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def run(work: Callable[[], T]) -> T:
    """Run `work` in the namespace, in a thread: a namespace belongs to a thread and to the threads it starts."""
    import threading

    results: list[T] = []
    faults: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            _enter()
            results.append(work())
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=enter_and_work)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return results[0]
