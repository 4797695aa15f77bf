"""libvirt's objects by name, through `virsh`: whether they are there, and removing them.

Owns: the `virsh` commands for each kind. Does not own: which objects are to go. Standard library only.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.progress import StepFailed

# The provider's types in the order in which objects let go of each other.
KINDS = {
    "libvirt:index/domain:Domain": "domain",
    "libvirt:index/cloudInitDisk:CloudInitDisk": "volume",
    "libvirt:index/volume:Volume": "volume",
    "libvirt:index/network:Network": "network",
    "libvirt:index/pool:Pool": "pool",
}
_PREFIX = {"domain": "", "volume": "vol-", "network": "net-", "pool": "pool-"}
# A qcow2 file that nothing was written to takes less than 256 KiB.
_EMPTY_BYTES = 1024 * 1024
_TRIES = 5


@dataclass(frozen=True)
class Virsh:
    """`virsh` on one libvirt; `run` runs a command and returns what it printed."""

    run: Callable[[Sequence[str]], subprocess.CompletedProcess[str]]
    uri: str

    def __call__(self, *words: str) -> str:
        """What virsh prints. Raises StepFailed with its message."""
        # Its words are read, so they have to be the untranslated ones.
        done = self.run(["env", "LC_ALL=C", "virsh", "-c", self.uri, *words])
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise StepFailed(
                f"virsh -c {self.uri} {' '.join(words)}", said, "see virsh's message; then run the same again"
            )
        return done.stdout

    def has(self, kind: str, name: str, pool: str = "") -> bool:
        """Tell whether there is such an object. Raises StepFailed when libvirt does not answer."""
        if kind == "volume":
            # A libvirt that was not told of a file does not know it.
            if not self.has("pool", pool):
                return False
            if self.state("pool", pool) != "running":
                self("pool-start", pool)
            self("pool-refresh", pool)
            listed = self("vol-list", pool).splitlines()
            return name in (line.split()[0] for line in listed[2:] if line.strip())
        return name in (line.strip() for line in self(f"{_PREFIX[kind]}list", "--all", "--name").splitlines())

    def state(self, kind: str, name: str) -> str:
        """The state of a domain (running, shut off, …) or of a pool or network (running, inactive)."""
        if kind == "domain":
            return self("domstate", name).strip()
        lines = [line.split(":", 1) for line in self(f"{_PREFIX[kind]}info", name).splitlines() if ":" in line]
        fields = {key.strip(): value.strip() for key, value in lines}
        active = fields.get("State") == "running" or fields.get("Active") == "yes"
        return "running" if active else "inactive"


def exists(virsh: Virsh, resource_type: str, inputs: Mapping[str, Any]) -> bool:
    """Tell whether the object that a Pulumi resource describes is there."""
    return virsh.has(KINDS[resource_type], str(inputs["name"]), str(inputs.get("pool", "")))


def remove(virsh: Virsh, resource_type: str, inputs: Mapping[str, Any], *, protected: bool) -> bool:
    """Remove the object that a Pulumi resource describes; return False when it is not there.

    Raises StepFailed when it does not go, or when it is protected and holds data.
    """
    kind, name, pool = KINDS[resource_type], str(inputs["name"]), str(inputs.get("pool", ""))
    if not virsh.has(kind, name, pool):
        return False
    if protected and not (kind == "volume" and _empty(virsh, name, pool)):
        raise StepFailed(
            f"{kind} {name} is protected and in use, but Pulumi's state does not hold it: a run was killed beside it",
            remedy=f"keep it with `pulumi import {resource_type} NAME ID`, or give it up by hand: "
            f"virsh -c {virsh.uri} vol-delete {name} --pool {pool}",
        )
    for left in reversed(range(_TRIES)):
        try:
            _remove(virsh, kind, name, pool)
            return True
        except StepFailed:
            # libvirt ends an upload, or a guest, a moment after its client is gone.
            if not left:
                raise
            time.sleep(1)
    return True


def _remove(virsh: Virsh, kind: str, name: str, pool: str) -> None:
    if kind == "volume":
        virsh("vol-delete", name, "--pool", pool)
        return
    if virsh.state(kind, name) not in ("shut off", "inactive"):
        virsh(f"{_PREFIX[kind]}destroy", name)
    if not virsh.has(kind, name):
        return  # it had never been defined for good, and went with its end
    kept = ("--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata") if kind == "domain" else ()
    virsh(f"{_PREFIX[kind]}undefine", name, *kept)


def _empty(virsh: Virsh, name: str, pool: str) -> bool:
    found = re.search(r"<allocation[^>]*>(\d+)</allocation>", virsh("vol-dumpxml", name, "--pool", pool))
    return found is not None and int(found[1]) <= _EMPTY_BYTES
