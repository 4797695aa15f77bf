"""Day two in two updates, while streams are held open through the ingress: two machines come, one goes, one grows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.end_to_end import requests
from tests.end_to_end.clone import Clone, Finished
from tests.end_to_end.cluster_side import Peer, held_streams
from tests.end_to_end.nodes import boots, identities, ready


@dataclass(frozen=True)
class Look:
    """What stands after an update: domains' UUIDs, boot ids, nodes that are Ready, and streams that still flow."""

    domains: dict[str, str]
    boots: dict[str, str]
    ready: set[str]
    flowing: dict[str, bool]


@dataclass(frozen=True)
class Scaling:
    """What the two updates said, and what stood before, between and after them."""

    grown: Finished
    preview: Finished
    shrunk: Finished
    before: Look
    between: Look
    after: Look


def scale(clone: Clone, domain: str) -> Scaling:
    """compute-2 and compute-3 join, then compute-2 leaves and compute-3 is resized; foreign requests wait meanwhile."""
    foreign = requests.foreign(domain, "192.168.200.20")
    assert len(foreign) >= 12
    for request in foreign:
        clone.oc("create", "-f", "-", stdin=json.dumps(request.document), user=request.user).ok()
    with Peer(clone) as peer, held_streams(clone, peer) as streams:
        assert len(streams.hosts) == 2, "the ingress spreads its clients"

        def look() -> Look:
            return Look(identities(clone), boots(clone), ready(clone), streams.flowing())

        before = look()
        clone.change_settings(_grow)
        grown = clone.pulumi("up", "--yes", "--skip-preview").ok()
        print(f"2 -> 4 compute machines took {grown.seconds:.0f} s")
        between = look()
        clone.pulumi("preview", "--expect-no-changes").ok()
        clone.change_settings(_shrink)
        preview = clone.pulumi("preview", "--diff").ok()
        shrunk = clone.pulumi("up", "--yes", "--skip-preview").ok()
        print(f"4 -> 3 compute machines, one of them of another size, took {shrunk.seconds:.0f} s")
        return Scaling(grown, preview, shrunk, before, between, look())


def _grow(config: dict[str, Any]) -> None:
    config["okd-libvirt:machines"] |= {f"compute-{n}": {"address": f"192.168.200.{20 + n}"} for n in (2, 3)}


def _shrink(config: dict[str, Any]) -> None:
    machines = config["okd-libvirt:machines"]
    del machines["compute-2"]
    machines["compute-3"]["memoryMiB"] = 576
