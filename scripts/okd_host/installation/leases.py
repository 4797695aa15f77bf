"""Which nodes live: those whose kubelets renew their leases.

A Node's condition is what was last written. After an outage of the whole cluster every Node reads Ready out of etcd
while its kubelet cannot even log in, and nobody may be there to correct it. Alive is who was seen to renew the lease
within the cluster's own grace, or whose last renewal is as recent by the clock of the API server that tells it. Gone is
who was watched for as long and did not. All else is unknown: a clock may be wrong, a lease not there yet.

Owns reading leases, and what both together say of a node. Does not own the Node (nodes.py).
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from okd_host import limits
from okd_host.ignition.certificates import moment
from okd_host.installation import nodes
from okd_host.installation.api import Api, segment

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
ALIVE, GONE, UNKNOWN = "alive", "gone", "unknown"
POLL = 2.0
HEARTBEAT = 10.0
# Looks further apart leave a gap: an API that was silent to us may have been silent to kubelets as well.
GAP = 10.0
# The Date of an answer is in whole seconds.
ROUNDED = 1.0


@dataclass
class _Beat:
    """A lease's last renewal: what it says, since when (monotonic) it says so, and whether it said otherwise before.

    `looked` is when it was read last, `unwatched` how many seconds of the time since then nobody can speak for.
    """

    renewed: str
    since: float
    looked: float
    changed: bool = False
    recent: bool = False
    unwatched: float = 0.0


class Pulse:
    """What the leases told, look after look."""

    def __init__(self) -> None:
        self._beats: dict[str, _Beat] = {}

    def look(self, api: Api, name: str) -> None:
        """Read the lease of one node, which may have none yet. Raises Silent or Refused."""
        lease = api.find(f"{PATH}/{segment(name)}") or {}
        self._note(name, lease, api.date)

    def nodes(self, api: Api) -> dict[str, dict[str, Any]]:
        """Every Node by its name; their leases are read with them. Raises Silent or Refused."""
        known = {nodes.name(node): node for node in nodes.every(api)}
        leases = {lease["metadata"]["name"]: lease for lease in api.get(PATH).get("items") or []}
        for name in known:
            self._note(name, leases.get(name, {}), api.date)
        return known

    def _note(self, name: str, lease: Mapping[str, Any], date: float | None) -> None:
        renewed = str((lease.get("spec") or {}).get("renewTime") or "")
        now = time.monotonic()
        beat = self._beats.setdefault(name, _Beat(renewed, now, now))
        beat.unwatched += max(0.0, now - beat.looked - GAP)
        beat.looked = now
        if beat.renewed != renewed:
            # One that is there for the first time was made by a kubelet just now.
            beat.renewed, beat.since, beat.changed, beat.unwatched = renewed, now, bool(renewed), 0.0
        told = _seconds(renewed)
        beat.recent = bool(told and date and abs(date - told) <= limits.LEASE.seconds + ROUNDED)

    def beats(self, name: str) -> bool:
        """Whether the lease was seen to be renewed, just now."""
        beat = self._beats.get(name)
        return bool(beat and beat.changed and time.monotonic() - beat.since <= limits.LEASE.seconds)

    def state(self, name: str) -> str:
        """ALIVE, GONE or UNKNOWN."""
        beat = self._beats.get(name)
        if beat is None:
            return UNKNOWN
        if beat.recent or self.beats(name):
            return ALIVE
        return GONE if time.monotonic() - beat.since - beat.unwatched > limits.LEASE.seconds else UNKNOWN

    def ready(self, node: Mapping[str, Any]) -> bool:
        """Whether a node is Ready and alive."""
        return nodes.ready(node) and self.state(nodes.name(node)) == ALIVE

    def doubtful(self, node: Mapping[str, Any]) -> bool:
        """Whether a node that reads Ready may or may not live."""
        return nodes.ready(node) and self.state(nodes.name(node)) == UNKNOWN

    def why_not_ready(self, node: Mapping[str, Any]) -> str:
        """Why a node is not Ready, or not alive."""
        if not nodes.ready(node):
            return nodes.why_not_ready(node)
        renewed = self.renewed(node)
        last = f"since {moment(renewed)}" if renewed else "yet, as far as its lease tells"
        return f"it reads Ready, but its kubelet has not reported {last}"

    def renewed(self, node: Mapping[str, Any]) -> float | None:
        """When the node's lease was renewed last, by the node's own clock, in seconds since 1970."""
        beat = self._beats.get(nodes.name(node))
        return _seconds(beat.renewed) if beat else None


def settled(api: Api, waiting: Callable[[str], None]) -> tuple[Pulse, dict[str, dict[str, Any]]]:
    """The leases, and every Node by its name, once of each that reads Ready it is known whether it lives.

    One look in the ordinary case. Calls `waiting` about every ten seconds. Raises Silent or Refused.
    """
    pulse, said = Pulse(), time.monotonic()
    while True:
        known = pulse.nodes(api)
        doubtful = [name for name, node in known.items() if pulse.doubtful(node)]
        if not doubtful:
            return pulse, known
        if time.monotonic() - said >= HEARTBEAT:
            said = time.monotonic()
            waiting(f"a sign of life of {', '.join(doubtful)}")
        time.sleep(POLL)


def _seconds(text: str) -> float | None:
    with suppress(ValueError):
        return float(calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
    return None
