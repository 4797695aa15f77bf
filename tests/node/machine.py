"""A machine that is a process, and the load balancer's view of machines."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.node.installer_set import DOMAIN

PORTS = {"api": 6443, "machine-config": 22623, "ingress-http": 80, "ingress-https": 443}
Document = dict[str, Any]


@dataclass
class Machine:
    """One machine: what the program's table would hold, and its process."""

    name: str
    role: str
    address: str
    root: Path
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    process: subprocess.Popen[bytes] | None = None

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{DOMAIN}"

    @property
    def row(self) -> Document:
        """As the host agent's documents have it."""
        number = int(self.address.rpartition(".")[2])
        mac = f"52:54:00:00:00:{number:02x}"
        return {"name": self.name, "fqdn": self.fqdn, "role": self.role, "address": self.address, "mac": mac}

    @property
    def config(self) -> str:
        return {"bootstrap": "bootstrap.ign", "control-plane": "master.ign", "compute": "worker.ign"}[self.role]

    def log(self) -> str:
        """The machine's journal."""
        path = self.root / "var/log/messages"
        return path.read_text() if path.exists() else ""


def balancer(address: str, machines: Sequence[Machine]) -> str:
    """HAProxy's configuration, with the checks that the program's own has, oftener."""
    before, plane, compute = (
        [machine for machine in machines if machine.role == role] for role in ("bootstrap", "control-plane", "compute")
    )
    lines = ["defaults", "  mode tcp", "  timeout connect 5s", "  timeout client 1h", "  timeout server 1h"]
    lines.append("  timeout check 60s")
    for name, port in PORTS.items():
        behind = (compute or plane) if name.startswith("ingress") else [*plane, *before]
        check = "check inter 1s"
        lines += [f"listen {name}", f"  bind {address}:{port}"]
        if name == "api":
            lines.append("  option httpchk GET /readyz HTTP/1.0")
            check = "check check-ssl verify none inter 1s fall 2 rise 3"
        for machine in behind:
            backup = " backup" if machine.role == "bootstrap" else ""
            lines.append(f"  server {machine.name} {machine.address}:{port} {check}{backup}")
    return "\n".join(lines) + "\n"
