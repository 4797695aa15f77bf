"""How old the ignition configs on the services host are, asked while the program runs.

Owns one read-only question over SSH, in previews as well: certificates in the files are good for 24 hours, which no
setting tells, and Pulumi runs a command again only when something it can see has changed. Does not own what is done
about it: the answer is a trigger.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pulumi

from components.host_command import AGENT, RESULT

FIRST = "first"
ANSWER_SECONDS = 40


def generation(address: str, login_key: str, host_key: str, document: dict[str, Any]) -> str:
    """Name the set of ignition configs that there should be: another name when the one there is is too old.

    A host that does not answer is not waited for: the guard on the host looks again whenever it runs.
    """
    answer = _ask(address, login_key, host_key, json.dumps(document))
    if answer is None:
        pulumi.log.warn(
            f"the services host ({address}) does not say how old its ignition configs are; if it is switched off, "
            "start it before machines are installed"
        )
        return FIRST
    return str(answer["generation"])


def _ask(address: str, login_key: str, host_key: str, document: str) -> dict[str, Any] | None:
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
            "ConnectTimeout": 20,
        }
        argv = ["ssh", "-F", "none", "-i", str(key), *(f"-o{name}={value}" for name, value in options.items())]
        try:
            done = subprocess.run(
                [*argv, f"okd@{address}", f"sudo {AGENT} ignition-status"],
                input=document,
                capture_output=True,
                text=True,
                timeout=ANSWER_SECONDS,
                check=False,
            )
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if done.returncode or not lines:
        return None
    found: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    return found
