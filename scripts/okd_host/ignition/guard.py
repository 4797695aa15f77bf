"""The guard: whether the set on this host is used as it is, or made again.

Owns reading the set and the one decision about it. A set whose cluster is up, or was seen up once, is never made again:
its certificates are the cluster's. Does not own making a set.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from okd_host import files, report
from okd_host.ignition import CONFIGS, INPUTS, INSTALL, INSTALLED, KUBECONFIG, PASSWORD, certificates, cluster, configs
from okd_host.ignition.certificates import Validity

# A clock may be off by this much and still be right.
TOLERANCE = 300.0
GONE = (
    f"if that cluster is gone for good, switch its machines off, remove {INSTALL}/{INSTALLED} on the services host and "
    "run the update again"
)


class Known(NamedTuple):
    """The set on this host; `damage` says why it cannot be used, `cluster` which cluster it is of, by its id."""

    validity: Validity
    generation: str
    inputs: dict[str, str]
    installed: bool
    authority: str
    damage: str
    cluster: str = ""


class Decision(NamedTuple):
    """What to do about the set, and why, for the reader."""

    reuse: bool
    why: str


@contextmanager
def reading(directory: str = INSTALL) -> Iterator[Callable[[str], bytes]]:
    """Read files of one set, even when another takes its place meanwhile. Raises FileNotFoundError without one."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def read(name: str) -> bytes:
        with open(name, "rb", opener=lambda path, flags: os.open(path, flags, dir_fd=descriptor)) as file:
            return file.read()

    try:
        yield read
    finally:
        os.close(descriptor)


def known() -> Known | None:
    """The set on this host, if there is one."""
    installed, authority = False, ""
    with suppress(FileNotFoundError), reading() as read:
        with suppress(FileNotFoundError):
            installed = bool(read(INSTALLED))
        try:
            record = json.loads(read(INPUTS))
            authority = cluster.authority(read(KUBECONFIG).decode())
            contents = {name: read(name) for name in (*CONFIGS, PASSWORD)}
            damaged = [name for name in CONFIGS if _hash(contents[name]) != record["files"][name]]
            if damaged:
                raise ValueError(f"{', '.join(damaged)} changed since it was made")
            validity = configs.validity(contents["bootstrap.ign"])
            return Known(
                validity, record["generation"], record["inputs"], installed, authority, "", record.get("cluster", "")
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Known(Validity(0, 0), "", {}, installed, authority, f"{type(error).__name__}: {error}")
    return None


def record(generation: str, cluster: str, inputs: Mapping[str, str], contents: Mapping[str, bytes]) -> bytes:
    """What is kept beside a set about how it came to be."""
    own = {name: _hash(contents[name]) for name in CONFIGS}
    known = {"generation": generation, "cluster": cluster, "inputs": dict(inputs), "files": own}
    return json.dumps(known, indent=1).encode()


def note_installed() -> None:
    """Note that the cluster of the set on this host was seen up."""
    moment = certificates.moment(time.time())
    files.write_now(f"{INSTALL}/{INSTALLED}", f"{moment}\n".encode(), mode=0o600)


def aged(validity: Validity, hours: float, now: float) -> str:
    """Why a set is too old, or too young, to install with; empty when it is not."""
    if validity.made > now + TOLERANCE:
        return f"it is good from {certificates.moment(validity.made)} only: the clock went back since"
    age, left = (now - validity.made) / 3600, (validity.expiry - now) / 3600
    if left <= 0:
        return f"it expired at {certificates.moment(validity.expiry)}"
    return f"it is {age:.1f} h old, and made again after {hours:g} h" if age > hours else ""


def decide(found: Known | None, own: str, inputs: Mapping[str, str], state: str, hours: float, now: float) -> Decision:
    """Whether `found` is used again, by the cluster with the id `own`.

    Raises Failed where neither using nor making a set would be right.
    """
    if found and found.cluster and own and found.cluster != own and state not in (cluster.UP, cluster.STARTING):
        return Decision(False, "the set on this data volume is that of a cluster whose stack was destroyed")
    if found and (found.installed or state in (cluster.UP, cluster.STARTING)):
        return _kept(found, inputs, state, hours, now)
    if state == cluster.FOREIGN:
        raise report.Failed(
            "a cluster answers at the API's address whose ignition configs are not on this host",
            in_service="that cluster, and what was published before",
            remedy=f"bring {INSTALL} of its services host back from a copy, or switch that cluster's machines off; a "
            "new set would be of no use to it and would take its credentials' place",
        )
    if not found:
        return Decision(False, "there is no set yet")
    if found.damage:
        return Decision(False, f"the set is damaged ({found.damage})")
    too_old = aged(found.validity, hours, now)
    changed = differing(found.inputs, inputs)
    if too_old or changed:
        return Decision(False, too_old or f"other inputs: {', '.join(changed)}")
    age = (now - found.validity.made) / 3600
    return Decision(True, f"used again: {age:.1f} h old, good until {certificates.moment(found.validity.expiry)}")


def _kept(found: Known, inputs: Mapping[str, str], state: str, hours: float, now: float) -> Decision:
    if found.damage:
        raise report.Failed(
            f"the set of an installed cluster is damaged: {found.damage}",
            file=INSTALL,
            in_service="the cluster, which does not need the set, and what was published before",
            remedy=f"bring {INSTALL} back from a copy; {GONE}",
        )
    up = {cluster.UP: "the cluster is up", cluster.STARTING: "the cluster is starting"}
    why = f"never made again: {up.get(state, 'the cluster was up, though it does not answer now')}"
    reasons = [aged(found.validity, hours, now), *(f"{name} changed" for name in differing(found.inputs, inputs))]
    if reasons := [reason for reason in reasons if reason]:
        why += f" (although {', '.join(reasons)})"
    return Decision(True, f"{why}; {GONE}" if reasons and state == cluster.SILENT else why)


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The names of the inputs that are not the same."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
