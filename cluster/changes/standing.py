"""What stands of a stack, as its state tells it, whether or not the last update came to its end.

Owns reading machines, sizes and delivered documents from the state's resources, by the names that the components give
them. The engine hands a state over with its secrets in the clear: only what is asked for here by name is read, and none
of that is secret. Does not own what a change makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from cluster.before import DOMAIN, VOLUME, Before

GIB = 1024**3
Row = Mapping[str, Any]
Document = Mapping[str, Any]
MACHINE, DELIVER = "okd:index:Machine$", "@okd-host deliver\n"
COMMAND, PROVIDER = "command:remote:Command", "pulumi:providers:libvirt"
AUTHORITY = "tls:index/selfSignedCert:SelfSignedCert"
# The verbs whose documents are read; the documents of `secrets` are secrets themselves.
VERBS = ("deliver", "machines", "mirror", "boot-image", "ignition", "node-join", "await-install")


@dataclass(frozen=True)
class Standing:
    """`resources` are outputs by type and name; `machines` in the last finished update's table are `remembered`."""

    resources: Mapping[tuple[str, str], Mapping[str, Any]]
    remembered: Mapping[str, Row]
    installed: bool = False

    @classmethod
    def of(cls, before: Before) -> Self:
        """What the state holds; nothing for a new stack."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for one in before.resources:
            parents, _, name = str(one["urn"]).rpartition("::")
            kind = str(one["type"])
            if kind == DOMAIN and MACHINE in parents:
                kind = MACHINE
            found[kind, name] = one.get("outputs") or {}
        remembered = {row["name"]: row for row in before.outputs.get("machines") or ()}
        return cls(found, remembered, before.installed)

    @property
    def new(self) -> bool:
        """Whether there is no machine yet, the services host included."""
        return not any(kind in (DOMAIN, MACHINE) for kind, _ in self.resources)

    @property
    def begun(self) -> bool:
        """Whether machines of the cluster stand, the services host aside, or stood when an update came to its end."""
        return self.installed or any(kind == MACHINE for kind, _ in self.resources)

    def outputs(self, kind: str, name: str) -> Mapping[str, Any]:
        """A resource's outputs; empty when the state does not hold it."""
        return self.resources.get((kind, name), {})

    def gib(self, volume: str) -> int | None:
        """The size of a volume."""
        size = self.outputs(VOLUME, volume).get("size")
        return None if size is None else int(size) // GIB

    def document(self, command: str) -> Document | None:
        """What a command of the host agent was last given; None when it was not, or is not to be read."""
        stdin = self.outputs(COMMAND, command).get("stdin")
        header, _, text = stdin.partition("\n") if isinstance(stdin, str) else ("", "", "")
        agent, _, verb = header.partition(" ")
        if agent != "@okd-host" or verb not in VERBS:
            return None
        found: Any = json.loads(text)
        return found if isinstance(found, Mapping) else None

    @cached_property
    def bundles(self) -> Mapping[str, Document]:
        """The last delivered document of each service."""
        commands = [name for kind, name in self.resources if kind == COMMAND and name.endswith("-bundle")]
        documents = {name.removesuffix("-bundle"): self.document(name) for name in sorted(commands)}
        return {service: document for service, document in documents.items() if document is not None}

    @cached_property
    def machines(self) -> Mapping[str, Row]:
        """A row for each machine whose domain stands; what the state does not tell is missing in it."""
        names = [name.removesuffix("-domain") for kind, name in self.resources if kind == MACHINE]
        return {name: self._row(name) for name in names}

    def _row(self, name: str) -> Row:
        domain = self.outputs(MACHINE, f"{name}-domain")
        cards = domain.get("networkInterfaces") or [{}]
        disks = (self.gib(f"{name}-data-{number}") for number in range(len(domain.get("disks") or ())))
        row = {
            "name": name,
            "role": self._roles.get(name),
            "pool": self.remembered.get(name, {}).get("pool"),
            "mac": str(cards[0].get("mac") or "").lower() or None,
            "address": self._addresses.get(name),
            "cpus": _whole(domain.get("vcpu")),
            "memoryMiB": _whole(domain.get("memory")),
            "diskGiB": self.gib(f"{name}-root"),
            "extraDisksGiB": [size for size in disks if size is not None],
        }
        return {key: value for key, value in row.items() if value is not None}

    @cached_property
    def _addresses(self) -> Mapping[str, str]:
        """What the DHCP server was told, the bootstrap machine included."""
        for file in self.bundles.get("dhcp", {}).get("files", ()):
            text = "\n".join(file.get("lines", ()))
            if '"reservations"' in text:
                subnets = json.loads(text)["Dhcp4"]["subnet4"]
                rows = [row for subnet in subnets for row in subnet["reservations"]]
                return {row["hostname"].partition(".")[0]: row["ip-address"] for row in rows}
        return {}

    @cached_property
    def _roles(self) -> Mapping[str, str]:
        rows = (self.document("installation-declared") or {}).get("machines") or ()
        return {str(row["name"]): str(row["role"]) for row in rows}


def _whole(number: Any) -> int | None:
    # Numbers come back from a state as floats.
    return None if number is None else int(number)
