"""How old the ignition configs on the services host are, asked while the program runs.

Owns one read-only question over SSH, in previews as well: certificates in the files are good for 24 hours, which no
setting tells, and Pulumi runs a command again only when something it can see has changed. Does not own what is done
about it: the answer is a trigger.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pulumi

from cluster import limits
from components.host_command import AGENT, RESULT

FIRST = "first"
PORT = 22
HEARTBEAT_SECONDS = 15


def generation(address: str, login_key: str, host_key: str, document: dict[str, Any]) -> str:
    """Name the set of ignition configs that there should be: another name when the one there is is too old.

    A host whose kernel does not answer is not waited for: the guard on the host looks again whenever it runs.
    """
    answer = _ask(address, login_key, host_key, json.dumps(document))
    if answer is None:
        pulumi.log.warn(
            f"the services host ({address}) does not say how old its ignition configs are; if it is switched off, "
            "start it before machines are installed"
        )
        return FIRST
    return str(answer["generation"])


def _is_up(address: str) -> bool:
    try:
        socket.create_connection((address, PORT), limits.SERVICES_TCP.seconds).close()
    except OSError:
        return False
    return True


def _run(argv: list[str], document: str) -> subprocess.CompletedProcess[str] | None:
    """Run `argv` to its end, saying that it is waited for; None when there is no such program, or no end."""
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except FileNotFoundError:
        return None
    given: str | None = document
    for waited in range(0, int(limits.SERVICES_ANSWER.seconds), HEARTBEAT_SECONDS):
        try:
            told, _ = child.communicate(given, timeout=HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            given = None
            pulumi.log.info(
                f"waiting for the services host: the age of its ignition configs ({waited + HEARTBEAT_SECONDS} s)",
                ephemeral=True,
            )
            continue
        return subprocess.CompletedProcess(argv, child.returncode, told)
    child.kill()
    child.communicate()
    return None


def _ask(address: str, login_key: str, host_key: str, document: str) -> dict[str, Any] | None:
    if not _is_up(address):
        return None
    with tempfile.TemporaryDirectory() as place:
        key, known = Path(place) / "key", Path(place) / "known_hosts"
        key.touch(mode=0o600)
        key.write_text(login_key)
        known.write_text(f"{address} {host_key}\n")
        options = {
            "UserKnownHostsFile": known,
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "ConnectTimeout": f"{limits.SERVICES_LOGIN.seconds:.0f}",
        }
        argv = ["ssh", "-F", "none", "-i", str(key), *(f"-o{name}={value}" for name, value in options.items())]
        done = _run([*argv, f"okd@{address}", f"sudo {AGENT} ignition-status"], document)
    if done is None:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if done.returncode or not lines:
        return None
    found: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    return found
