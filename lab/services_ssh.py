"""The services host over SSH, with the stack's own key and the host key that the stack gave it.

Owns: the keys, taken from Pulumi's state into memory and a private temporary directory; a run that is still under way
has them in its state, but no outputs yet. Does not own: what is asked. Standard library only.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import limits
from lab.commands import Commands

AGENT = "/usr/local/sbin/okd-host"
RESULT = "result: "
KEYS = {"ssh-login-key": "privateKeyOpenssh", "ssh-host-key": "publicKeyOpenssh"}


@dataclass(frozen=True)
class Keys:
    """`login` is a private key, PEM; `host` a line of the host's public key."""

    login: str
    host: str

    def __repr__(self) -> str:
        """Nothing: what is printed may be kept."""
        return "Keys()"


@dataclass(frozen=True)
class ServicesHost:
    """Commands on the services host."""

    commands: Commands
    address: str
    options: tuple[str, ...]

    def caught(self, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command there and catch what it prints; 255 is SSH's own failure, 124 that it took too long."""
        return self.commands.caught(
            self._argv(command), stdin=stdin, limit=limits.STATUS, what=f"the services host ({self.address})"
        )

    def shown(self, command: str, stdin: str = "") -> int:
        """Run a command there on this terminal; return its exit code."""
        return self.commands.shown(self._argv(command), stdin=stdin)

    def ask(self, verb: str, document: Mapping[str, Any]) -> dict[str, Any] | str:
        """What a verb of the host agent reports back, or in words why there is no answer."""
        done = self.caught(f"sudo {AGENT} {verb}", json.dumps(document))
        lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
        if done.returncode or not lines:
            said = (done.stderr or done.stdout).strip().splitlines()
            return said[-1] if said else f"exit code {done.returncode}"
        found: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
        return found

    def _argv(self, command: str) -> list[str]:
        return ["ssh", *self.options, f"okd@{self.address}", command]


def keys(commands: Commands) -> Keys | None:
    """The keys of the stack's services host; None while its state holds none."""
    done = commands.caught(
        ["pulumi", "stack", "export", "--show-secrets", "--stack", commands.stack, "--non-interactive"]
    )
    if done.returncode:
        return None
    found: dict[str, str] = {}
    for resource in json.loads(done.stdout)["deployment"].get("resources") or []:
        name = resource["urn"].rsplit("::", 1)[1]
        if resource["type"] == "tls:index/privateKey:PrivateKey" and name in KEYS:
            found[name] = _plain((resource.get("outputs") or {}).get(KEYS[name])).strip()
    if not all(found.get(name) for name in KEYS):
        return None
    return Keys(found["ssh-login-key"], found["ssh-host-key"])


@contextmanager
def connected(commands: Commands, address: str, known: Keys) -> Iterator[ServicesHost]:
    """The services host at `address`; the key lies in a private temporary directory meanwhile."""
    with tempfile.TemporaryDirectory() as place:
        key, hosts = Path(place) / "key", Path(place) / "known_hosts"
        key.touch(mode=0o600)
        key.write_text(f"{known.login}\n")
        hosts.write_text(f"{address} {known.host}\n")
        options = {
            "UserKnownHostsFile": hosts,
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "ConnectTimeout": int(limits.SERVICES_LOGIN.seconds),
            "ServerAliveInterval": 15,
            "ServerAliveCountMax": int(limits.SERVICES_LOGIN.seconds / 15),
            "LogLevel": "ERROR",
        }
        argv = ("-F", "none", "-i", str(key), *(f"-o{name}={value}" for name, value in options.items()))
        yield ServicesHost(commands, address, argv)


def _plain(value: Any) -> str:
    """A value of a state with its secrets shown."""
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) and "plaintext" in value else value or "")
