"""What a stack is doing right now: services, mirror, machines and cluster, in one table.

Owns: putting together what libvirt says of the domains and what the services host says of everything else, whichever
of them answers; and the table's form. Does not own: looking (okd-host cluster-status) nor any change: nothing here
changes anything. Standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab import services_ssh
from lab.commands import Commands
from lab.facts import Facts
from lab.services_ssh import Keys

NONE = "-"
NOT_MADE = "not made"


@dataclass
class Seen:
    """`domains` is libvirt's state by domain, `host` the services host's answer; or in words why there is none."""

    domains: Mapping[str, str] = field(default_factory=dict)
    libvirt: str = ""
    host: Mapping[str, Any] = field(default_factory=dict)
    silence: str = ""


class Looker:
    """Looks at one stack, again and again; its keys are read once, and again when they no longer fit."""

    def __init__(self, commands: Commands, facts: Facts) -> None:
        self._commands, self._facts = commands, facts
        self._keys: Keys | None = None

    def look(self) -> Seen:
        """What is there now. Never raises for a part that does not answer."""
        seen = Seen()
        seen.domains, seen.libvirt = domains(self._commands, self._facts.uri)
        state = seen.domains.get(self._facts.services_domain, NOT_MADE)
        if not seen.libvirt and state != "running":
            seen.silence = f"the services host is {state}"
            return seen
        self._keys = self._keys or services_ssh.keys(self._commands)
        if self._keys is None:
            seen.silence = "Pulumi's state holds no key to the services host yet"
            return seen
        with services_ssh.connected(self._commands, self._facts.uplink, self._keys) as host:
            answer = host.ask("cluster-status", self._facts.status)
        if isinstance(answer, str):
            self._keys = None
            seen.silence = f"the services host does not say: {answer}"
        else:
            seen.host = answer
        return seen


def domains(commands: Commands, uri: str) -> tuple[dict[str, str], str]:
    """The state of every domain, and why libvirt does not answer, if it does not."""
    done = commands.caught(["env", "LC_ALL=C", "virsh", "-c", uri, "list", "--all"], what="libvirt")
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {}, said[-1] if said else f"virsh: exit code {done.returncode}"
    rows = [line.split(None, 2) for line in done.stdout.splitlines()[2:] if line.strip()]
    return {row[1]: row[2].strip() for row in rows}, ""


def table(stack: str, facts: Facts, seen: Seen, now: float | None = None) -> str:
    """The whole picture as text."""
    moment = time.time() if now is None else now
    head = f"stack {stack}: {facts.domain}, {datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S}"
    parts = [
        [head],
        _services(facts, seen, moment),
        _release(seen),
        _machines(facts, seen, moment),
        _cluster(seen),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _services(facts: Facts, seen: Seen, now: float) -> list[str]:
    state = NONE if seen.libvirt else seen.domains.get(facts.services_domain, NOT_MADE)
    head = [f"services host  {state}, {facts.uplink}"]
    head += [f"  libvirt does not answer: {seen.libvirt}"] if seen.libvirt else []
    head += [f"  {seen.silence}"] if seen.silence else []
    rows = [
        (str(one["name"]), str(one["state"]), since(one.get("since"), now)) for one in seen.host.get("services") or ()
    ]
    return (
        [*head, *_aligned([("  SERVICE", "STATE", "SINCE"), *((f"  {name}", *rest) for name, *rest in rows)])]
        if rows
        else head
    )


def _release(seen: Seen) -> list[str]:
    if not seen.host:
        return []
    mirror, ignition = seen.host.get("mirror"), seen.host.get("ignition")
    lines = ["mirror         " + (_facts_of(mirror) if mirror else "nothing mirrored yet")]
    return [*lines, "ignition       " + (_facts_of(ignition) if ignition else "not made yet")]


def _machines(facts: Facts, seen: Seen, now: float) -> list[str]:
    told = {one["name"]: one for one in seen.host.get("machines") or ()}
    rows = [("MACHINE", "ROLE", "ADDRESS", "DOMAIN", "STAGE", "SINCE", "")]
    for name, domain in facts.domains.items():
        one = told.get(name, {})
        state = NONE if seen.libvirt else seen.domains.get(domain, NOT_MADE)
        stage = str(one.get("stage") or NONE)
        if state == NOT_MADE and stage in (NONE, "unknown", "off", "lease"):
            stage, one = NONE, {}
        moment = since(one.get("since"), now)
        rows.append(
            (name, facts.roles[name], facts.addresses[name], state, stage, moment, str(one.get("detail") or ""))
        )
    return _aligned(rows)


def _cluster(seen: Seen) -> list[str]:
    if not seen.host:
        return []
    cluster = seen.host.get("cluster") or {}
    message = f" ({cluster['message']})" if cluster.get("message") else ""
    if not cluster.get("api"):
        return [f"cluster        the API does not answer{message}"]
    states = [word for word in ("available", "progressing") if cluster.get(word)] or ["not available"]
    line = f"cluster        {cluster.get('version') or 'no version yet'}, {' and '.join(states)}; "
    line += f"operators {cluster.get('operators') or NONE}; the API answers{message}"
    left = seen.host.get("requests") or []
    return [line, *(f"  certificate request pending: {_facts_of(one)}" for one in left)]


def since(moment: Any, now: float) -> str:
    """A moment (seconds since 1970, or ISO 8601) as a reader wants it: how long ago."""
    if isinstance(moment, str) and moment:
        try:
            moment = datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return str(moment)
    if not moment:
        return NONE
    ago = max(0, int(now - float(moment)))
    days, rest = divmod(ago, 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {ago % 60} s" if minutes else f"{ago} s"


def _facts_of(answer: Mapping[str, Any]) -> str:
    """A flat answer in words: its version first, then what else it names; of what is so or not, what is so."""
    told = [str(answer["version"])] if answer.get("version") else []
    for key, value in answer.items():
        if key != "version" and value not in (None, "", [], False):
            told.append(_words(key) if value is True else f"{_words(key)} {value}")
    return ", ".join(told)


def _words(key: str) -> str:
    """Words for a key: `verified at` for verifiedAt."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in key)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
