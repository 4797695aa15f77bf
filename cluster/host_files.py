"""What is placed on the services host: files, and the bundles in which they travel.

Owns the form of a bundle and its JSON document for the host agent. Does not own any service's content; each service's
module makes its own bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class HostFile:
    """One file at its final path. Exactly one of `text`, `value` and `copy_of` says what is in it.

    `value` names something known only at deploy time; `copy_of` is the path of a file that an installed package
    brought. `mode` is octal as text; `selinux` a type where the operating system enforces one.
    """

    path: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    text: str | None = None
    value: str | None = None
    copy_of: str | None = None
    secret: bool = False
    selinux: str | None = None

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.text, self.value, self.copy_of)) != 1:
            raise ValueError(f"{self.path}: exactly one of text, value and copy_of")
        if self.text is not None and not self.text.endswith("\n"):
            raise ValueError(f"{self.path}: the last line has no end, which HAProxy for one refuses")
        if self.secret and (self.value is None or int(self.mode, 8) & 0o007):
            raise ValueError(f"{self.path}: a secret is a deploy-time value in a file closed to others")


@dataclass(frozen=True)
class Check:
    """A daemon's own parser, run on the staged files."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """What must hold once the daemon runs: a command that succeeds, or `tcp`, an address:port that accepts."""

    name: str
    argv: tuple[str, ...] = ()
    tcp: str | None = None


@dataclass(frozen=True)
class SelinuxPolicy:
    """Booleans to switch on, and (port, protocol, type) rows to label."""

    booleans: tuple[str, ...] = ()
    ports: tuple[tuple[int, str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """All of one service, delivered, checked, put in service and health-checked as one.

    `owns` are directories whose other files are removed. `reload` is empty for a daemon that reads its files at each
    request or can only be restarted. `restart_on` are globs of files whose change the running daemon cannot take up.
    `unit_files` are systemd's, and travel with those of all services (units.py): reading them takes systemd seconds
    each time. A bundle that does not `start` its units restarts those that run when their own unit file changed. One
    `on_data_volume` waits until that is mounted.
    """

    service: str
    files: tuple[HostFile, ...]
    unit_files: tuple[HostFile, ...] = ()
    packages: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    units: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    restart_on: tuple[str, ...] = ()
    health: tuple[Health, ...] = ()
    selinux: SelinuxPolicy | None = None
    starts: bool = True
    on_data_volume: bool = False

    def document(self, values: Mapping[str, str], secret_hashes: Mapping[str, str]) -> dict[str, Any]:
        """The bundle as the host agent reads it.

        Args:
            values: text by name, for files whose `value` is not secret.
            secret_hashes: SHA-256 (hex) by name, for files whose `value` is; the text itself travels apart.

        Raises:
            KeyError: a value that a file names is missing.
        """
        document: dict[str, Any] = {
            "service": self.service,
            "packages": list(self.packages),
            "files": [_entry(file, values, secret_hashes) for file in self.files],
            "owns": list(self.owns),
            "checks": [{"name": check.name, "argv": list(check.argv)} for check in self.checks],
            "units": list(self.units),
            "reload": list(self.reload),
            "restart_on": list(self.restart_on),
            "health": [_health(health) for health in self.health],
        }
        if not self.starts:
            document["starts"] = False
        if self.selinux is not None:
            ports = [{"port": port, "protocol": protocol, "type": kind} for port, protocol, kind in self.selinux.ports]
            document["selinux"] = {"booleans": list(self.selinux.booleans), "ports": ports}
        return document


def _entry(file: HostFile, values: Mapping[str, str], secret_hashes: Mapping[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": file.path, "owner": file.owner, "group": file.group, "mode": file.mode}
    if file.selinux is not None:
        entry["selinux"] = file.selinux
    if file.copy_of is not None:
        return entry | {"copyOf": file.copy_of}
    if file.secret and file.value is not None:
        return entry | {"secret": file.value, "sha256": secret_hashes[file.value]}
    text = file.text if file.value is None else values[file.value]
    assert text is not None
    return entry | {"lines": text.removesuffix("\n").split("\n")}


def _health(health: Health) -> dict[str, Any]:
    return {"name": health.name} | ({"tcp": health.tcp} if health.tcp else {"argv": list(health.argv)})


def dump(document: Mapping[str, Any]) -> str:
    """A document as text in which every line of every file is a line of its own, so that a diff shows what changed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
