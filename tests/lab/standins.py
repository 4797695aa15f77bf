"""Stand-ins for `pulumi`, `virsh` and `ssh` that share one world, a JSON file, and write down how they were called.

libvirt's domains have states; the services host answers while its domain runs; `ssh` looks at its key file as the
real one does.
"""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.commands import Commands
from lab.facts import Facts

PROGRAM = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {{root!r}})\nfrom tests.lab import standins\nstandins.{{name}}({{world!r}})\n"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END OPENSSH PRIVATE KEY-----\n"
SECRET = "c2VjcmV0LWtleQ=="
SIGNATURE = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def key(name: str, **outputs: str) -> dict[str, Any]:
    hidden = {
        field: {**SIGNATURE, "plaintext": json.dumps(value)} for field, value in outputs.items() if "private" in field
    }
    return {
        "urn": f"urn:pulumi:dev::okd-libvirt::okd:index:SshAccess$tls:index/privateKey:PrivateKey::{name}",
        "type": "tls:index/privateKey:PrivateKey",
        "outputs": {**outputs, **hidden},
    }


KEYS = [
    key("ssh-login-key", privateKeyOpenssh=PRIVATE, publicKeyOpenssh="ssh-ed25519 AAAAlogin\n"),
    key("ssh-host-key", privateKeyOpenssh=PRIVATE, publicKeyOpenssh="ssh-ed25519 AAAAhost\n"),
]


class World:
    """The file; `commands` runs the stand-ins in place of the real programs."""

    def __init__(self, place: Path, facts: Facts) -> None:
        self.path = place / "world.json"
        self.facts = facts
        programs = place / "programs"
        programs.mkdir()
        root = str(Path(__file__).resolve().parents[2])
        for name in ("pulumi", "virsh", "ssh"):
            program = programs / name
            program.write_text(PROGRAM.format(root=root, name=name, world=str(self.path)))
            program.chmod(0o755)
        self.commands = Commands("dev", in_lab=False)
        self.commands.environment["PATH"] = f"{programs}:{self.commands.environment['PATH']}"
        self.save(
            calls=[], resources=KEYS, domains={}, services=facts.services_domain, machines=list(facts.domains.values())
        )

    def save(self, **fields: Any) -> None:
        self.path.write_text(json.dumps({**(self.read() if self.path.exists() else {}), **fields}))

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def domains(self, state: str, *, bootstrap: str | None = None, services: str | None = None) -> None:
        """Every domain in one state, but for the bootstrap's (None: there is none) and the services host's."""
        found = {domain: state for name, domain in self.facts.domains.items() if self.facts.roles[name] != "bootstrap"}
        found[self.facts.services_domain] = services or state
        if bootstrap:
            found[self.facts.domains["bootstrap"]] = bootstrap
        self.save(domains=found)

    def calls(self, program: str = "") -> list[str]:
        """What was called, in order: program and its words."""
        return [call for call in self.read()["calls"] if call.startswith(program)]


def _world(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    found["calls"].append(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    Path(path).write_text(json.dumps(found))
    return found


def _end(path: str, world: dict[str, Any], code: int = 0) -> None:
    Path(path).write_text(json.dumps(world))
    sys.exit(code)


def pulumi(path: str) -> None:
    world = _world(path)
    if "export" in sys.argv and "--show-secrets" in sys.argv:
        print(json.dumps({"version": 3, "deployment": {"resources": world["resources"]}}))
        sys.exit(0)
    sys.exit(255)


def virsh(path: str) -> None:
    world, words = _world(path), sys.argv[1:]
    if world.get("libvirt") == "silent":
        print("error: failed to connect to the hypervisor", file=sys.stderr)
        sys.exit(1)
    verb, domains = words[2], world["domains"]
    if verb == "list":
        print(" Id   Name                State\n-----------------------------------")
        for number, (name, state) in enumerate(domains.items()):
            print(f" {number if state == 'running' else '-'}    {name}    {state}")
        print()
        sys.exit(0)
    changed = {"start": "running", "resume": "running", "destroy": "shut off", "shutdown": "shut off"}[verb]
    if not (verb == "shutdown" and world.get("deaf")):
        domains[words[3]] = changed
    _end(path, world)


def ssh(path: str) -> None:
    world, words = _world(path), sys.argv[1:]
    key_file = Path(words[words.index("-i") + 1])
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_text().startswith(PRIVATE.strip())
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("-o"))
    assert options["StrictHostKeyChecking"] == "yes"
    assert Path(options["UserKnownHostsFile"]).read_text().endswith(" ssh-ed25519 AAAAhost\n")
    if world["domains"].get(world["services"]) != "running" or world.get("unreachable"):
        print("ssh: connect to host: No route to host", file=sys.stderr)
        sys.exit(255)
    command = words[-1]
    handler = COMMANDS.get(command.split()[-1])
    sys.exit(127) if handler is None else handler(path, world, json.loads(sys.stdin.read() or "{}"))


def _status(path: str, world: dict[str, Any], document: dict[str, Any]) -> None:
    world["asked"] = document
    print("stage 1/1 look: done")
    print("result: " + json.dumps(world["answer"]))
    _end(path, world)


def _cluster_stop(path: str, world: dict[str, Any], document: dict[str, Any]) -> None:
    world["stopped"] = document
    if world.get("unwell") and not document["force"]:
        print("okd-host cluster-stop: compute-0 is not Ready", file=sys.stderr)
        _end(path, world, 1)
    nodes = {row["name"] for row in document["machines"]}
    for domain in world["machines"]:
        if domain in world["domains"] and any(domain.endswith(f"-{name}") for name in nodes):
            world["domains"][domain] = "shut off"
    _end(path, world)


def _cluster_start(path: str, world: dict[str, Any], document: dict[str, Any]) -> None:
    world["started"] = document
    nodes = [domain for domain in world["machines"] if not domain.endswith("bootstrap")]
    _end(path, world, 0 if all(world["domains"][domain] == "running" for domain in nodes) else 1)


def _poweroff(path: str, world: dict[str, Any], document: dict[str, Any]) -> None:
    world["domains"][world["services"]] = "shut off"
    _end(path, world, 255)


COMMANDS: dict[str, Callable[[str, dict[str, Any], dict[str, Any]], None]] = {
    "cluster-status": _status,
    "cluster-stop": _cluster_stop,
    "cluster-start": _cluster_start,
    "poweroff": _poweroff,
    "true": lambda path, world, document: _end(path, world),
}
