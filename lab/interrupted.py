"""What a killed `pulumi` run left behind, put in order before the next one.

Owns: its lock, its orphaned plugins, the libvirt objects that it was making and did not write down, and those that it
had destroyed and still has written down. Does not own: what a finished run left; objects that the state holds are
never touched. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import limits
from lab import libvirt_objects
from lab.libvirt_objects import KINDS, Virsh
from lab.progress import StepFailed, say

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
Resource = dict[str, Any]


@dataclass(frozen=True)
class Lock:
    """A lock of Pulumi's own file backend; `pid` is the process on `host` that took it."""

    path: Path
    pid: int
    host: str
    since: str

    @property
    def stale(self) -> bool:
        """Whether its process is gone from this machine; of another machine nothing is known."""
        return self.host == socket.gethostname() and _name(self.pid) != "pulumi"


@dataclass(frozen=True)
class Interrupted:
    """One stack; `run` runs a command where the stack's `pulumi` runs, with `environment`."""

    project: str
    stack: str
    environment: Mapping[str, str]
    run: Run

    def settle(self) -> None:
        """Put everything in order. Raises StepFailed when another run is at work, or when it cannot be done."""
        if locks := self._locks():
            self._unlock(locks)
        exported = self._export()
        deployment = exported["deployment"]
        pending, resources = deployment.get("pending_operations") or [], deployment.get("resources") or []
        if pending:
            self._end_orphans()
            self._remove(pending, resources)
        gone = self._gone(pending, resources)
        for resource in gone:
            # Such a one is left out by a refresh.
            resource.pop("pendingReplacement", None)
        if pending or gone:
            # Pulumi keeps a pending creation for good, and warns about it in every run.
            deployment["pending_operations"] = [one for one in pending if one["type"] != "creating"]
            self._import(exported)
        for resource in gone:
            say(f"{_label(resource)} is destroyed already; Pulumi's state is told so")
            self._pulumi("refresh", "--yes", "--skip-preview", "--target", resource["urn"])

    def _locks(self) -> list[Lock]:
        backend = self.environment.get("PULUMI_BACKEND_URL", "")
        if not backend.startswith("file://"):
            return []
        root = Path(backend.removeprefix("file://")).expanduser() / ".pulumi" / "locks" / "organization"
        found = []
        for path in sorted((root / self.project / self.stack).glob("*.json")):
            try:
                said = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            found.append(Lock(path, said["pid"], said["hostname"], said["timestamp"]))
        return found

    def _unlock(self, locks: list[Lock]) -> None:
        if living := [lock for lock in locks if not lock.stale]:
            one = living[0]
            raise StepFailed(
                f"another `pulumi` works on stack {self.stack}: pid {one.pid} on {one.host}, since {one.since}",
                remedy="wait for its end; if it is a machine that is gone for good: `pulumi cancel` in `make shell`",
            )
        for lock in locks:
            say(f"the run of {lock.since} was killed (pid {lock.pid} is gone): its lock is taken back")
        self._end_orphans()
        self._pulumi("cancel", "--yes", self.stack, stack=False)

    def _end_orphans(self) -> None:
        """End plugins whose engine is gone: one may still be making what is looked at next."""
        plugins = f"{self.environment.get('PULUMI_HOME') or Path.home() / '.pulumi'}/plugins/"
        orphans = [pid for pid in _pids() if _program(pid).startswith(plugins) and _name(_parent(pid)) != "pulumi"]
        for pid in orphans:
            say(f"ending {Path(_program(pid)).name} ({pid}), which the killed run left")
            _end(pid)

    def _remove(self, pending: list[Resource], resources: list[Resource]) -> None:
        """Remove from libvirt what was being made, where the state does not hold it."""
        # One that awaits its replacement has been destroyed before that was begun.
        held = {_identity(resource) for resource in resources if not resource.get("pendingReplacement")}
        made = [one["resource"] for one in pending if one["type"] == "creating"]
        wanted = [one for one in made if one["type"] in KINDS and _identity(one) not in held]
        for resource in sorted(wanted, key=lambda one: list(KINDS).index(one["type"])):
            virsh = self._virsh(resource, resources)
            if libvirt_objects.remove(
                virsh, resource["type"], resource["inputs"], protected=bool(resource.get("protect"))
            ):
                say(f"removed {_label(resource)}: a killed run was making it, and the state does not hold it")

    def _gone(self, pending: list[Resource], resources: list[Resource]) -> list[Resource]:
        """What was destroyed and is still in the state: the provider fails on what it does not find.

        An object that awaits its replacement is destroyed once more when what it stands on is replaced as well.
        """
        ended = {one["resource"]["urn"] for one in pending if one["type"] == "deleting"}
        return [
            resource
            for resource in resources
            if (resource["urn"] in ended or resource.get("pendingReplacement"))
            and resource["type"] in KINDS
            and resource.get("id")
            and not libvirt_objects.exists(self._virsh(resource, resources), resource["type"], resource["inputs"])
        ]

    def _virsh(self, resource: Resource, resources: list[Resource]) -> Virsh:
        provider = str(resource.get("provider", "")).rpartition("::")[0]
        uri = next((one["inputs"].get("uri") for one in resources if one["urn"] == provider), None)
        return Virsh(self.run, str(uri or self.environment.get("LIBVIRT_DEFAULT_URI", "qemu:///system")))

    def _export(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self._pulumi("stack", "export"))
        return exported

    def _import(self, deployment: dict[str, Any]) -> None:
        # The passphrase's cipher texts stay what they are: nothing is in the clear here.
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(deployment, file)
            file.flush()
            self._pulumi("stack", "import", "--file", file.name)

    def _pulumi(self, *words: str, stack: bool = True) -> str:
        argv = ["pulumi", *words, *(["--stack", self.stack] if stack else []), "--non-interactive"]
        done = self.run(argv)
        if done.returncode:
            raise StepFailed(
                " ".join(argv), done.stderr.strip().splitlines()[-15:], "see the lines above, then run the same again"
            )
        return done.stdout


def _identity(resource: Resource) -> tuple[str, str, str]:
    inputs = resource.get("inputs") or {}
    return resource["type"], str(inputs.get("name", "")), str(inputs.get("pool", ""))


def _label(resource: Resource) -> str:
    return f"{KINDS[resource['type']]} {resource['inputs']['name']}"


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    except OSError:
        return ""


def _name(pid: int) -> str:
    """The process's name; empty when there is none, or it is dead and only not yet collected."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return "" if fields.get("State", "Z").startswith("Z") else fields.get("Name", "")


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _end(pid: int) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + limits.LAB_END.seconds
        while _name(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
