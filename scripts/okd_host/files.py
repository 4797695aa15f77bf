"""Files of the host: where the agent keeps its own, and how one is written, copied and locked.

Owns atomic replacement (a temporary name in the same directory, then rename) with owner, mode and SELinux label, and
the lock of a service. Does not own which files a service has.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from okd_host import limits, report

STAGE = "/run/okd-libvirt/stage"
LOCKS = "/run/okd-libvirt/lock"
SECRETS = "/var/lib/okd-libvirt/secrets"
JOURNAL = "/var/lib/okd-libvirt/journal"
STATE = "/var/lib/okd-libvirt/state"
# What is made from the release, on the data volume: it outlives the host.
RELEASE = "/var/lib/okd-registry/okd-libvirt"
# Its time is the end of the last smoke check, which asks for the leases of machines that may not run.
SMOKE = f"{STATE}/smoke"
SELINUX = "/sys/fs/selinux/enforce"


def temporary(path: str) -> str:
    """The name under which the next version of `path` is written; a leftover is simply overwritten."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.okd-new")


def private_directory(path: str) -> str:
    """Make `path` for root only; its parents may be listed by anyone."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o700)
    return path


def secret(owner: str, name: str) -> str:
    """Where a secret is kept for a service or a verb."""
    return os.path.join(SECRETS, owner, name)


def read_verified(path: str, sha256: str) -> tuple[bytes, bool]:
    """The content of a file, and whether it is the one with that SHA-256 (hex). Raises OSError."""
    import hashlib

    with open(path, "rb") as file:
        content = file.read()
    return content, hashlib.sha256(content).hexdigest() == sha256


def label(paths: list[str]) -> None:
    """Give `paths` the SELinux labels that the policy has for them, where SELinux is enabled."""
    if paths and os.path.exists(SELINUX):
        from okd_host.commands import run

        run(["restorecon", *paths])


def write(path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Write `path` under its temporary name with owner and mode, safe on disk; `publish` renames it."""
    name = temporary(path)
    with suppress(FileNotFoundError):
        os.unlink(name)
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)


def publish(path: str) -> None:
    """Put what `write` prepared in service."""
    os.rename(temporary(path), path)


def write_now(path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Replace `path` atomically."""
    write(path, content, mode=mode, uid=uid, gid=gid)
    publish(path)
    label([path])


def _holder(path: str) -> str:
    try:
        with open(path) as file:
            known = json.load(file)
        return f"{known['verb']} (pid {known['pid']}, since {time.time() - known['since']:.0f} s)"
    except (OSError, ValueError, KeyError):
        return "another run"


@contextmanager
def turn(kind: str, places: int, waiting: Callable[[str], None]) -> Iterator[None]:
    """Be one of at most `places` processes that do `kind` at a time; `waiting` is called about every five seconds."""
    descriptors = [_lockable(f"{kind}-{n}") for n in range(places)]
    said = time.monotonic()
    try:
        while not any(_taken(descriptor) for descriptor in descriptors):
            if time.monotonic() - said >= 5:
                said = time.monotonic()
                waiting(f"its turn, {places} at a time: {kind}")
            time.sleep(0.25)
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _lockable(name: str) -> int:
    """Open a lock for root alone: whoever can open a file can hold its lock, and let every delivery wait."""
    os.makedirs(LOCKS, exist_ok=True)
    descriptor = os.open(os.path.join(LOCKS, name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def lock(service: str, verb: str, wait: float = limits.LOCK.seconds) -> Iterator[None]:
    """Hold the lock of `service`; the kernel drops it with the process. Raises Failed naming the holder."""
    path = os.path.join(LOCKS, service)
    descriptor = _lockable(service)
    started, said = time.monotonic(), 0.0
    while not _taken(descriptor):
        waited = time.monotonic() - started
        if waited > wait:
            os.close(descriptor)
            raise report.Failed(
                f"{service} is still locked by {_holder(path)} after {waited:.0f} s",
                in_service="whatever that run leaves; this one changed nothing",
                remedy=f"wait for it to end (or end it by its pid), then run the update again; the lock is {path}",
            )
        if waited - said >= 5 or not said:
            said = waited or 0.001
            report.say(f"  waiting for {_holder(path)} to release {service} ({waited:.0f} s)")
        time.sleep(0.25)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"verb": verb, "pid": os.getpid(), "since": time.time()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)
