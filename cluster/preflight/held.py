"""What a stack's state holds on libvirt, whether or not its last update came to its end.

Owns reading that from the state's resources. Does not own whether it is still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cluster.before import DOMAIN, NETWORK, POOL, SEED, VOLUME, Before

GIB = 1024**3


@dataclass(frozen=True)
class HeldDomain:
    """A domain of the state."""

    uuid: str
    cpus: int
    memory_mib: int


@dataclass(frozen=True)
class Held:
    """By libvirt's names: domains; UUIDs of networks and pools; volumes' GiB, and their forms; networks' addresses."""

    domains: Mapping[str, HeldDomain] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, float] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, before: Before) -> Self:
        """What the state holds; nothing for a new stack."""
        networks = _named(before, NETWORK)
        volumes = _named(before, VOLUME)
        seeds = _named(before, SEED)
        return cls(
            domains={
                name: HeldDomain(one.get("id", ""), int(one.get("vcpu") or 1), int(one.get("memory") or 0))
                for name, one in _named(before, DOMAIN).items()
            },
            networks={name: one.get("id", "") for name, one in networks.items()},
            addresses={name: tuple(one.get("addresses") or ()) for name, one in networks.items()},
            pools={name: one.get("id", "") for name, one in _named(before, POOL).items()},
            forms={name: str(one.get("format") or "") for name, one in volumes.items()},
            volumes={name: 0.0 for name in seeds} | {name: _gib(one) for name, one in volumes.items()},
        )


def _named(before: Before, kind: str) -> dict[str, Mapping[str, Any]]:
    outputs = (one.get("outputs") or {} for one in before.resources if one.get("type") == kind)
    return {str(one["name"]): one for one in outputs if one.get("name")}


def _gib(volume: Mapping[str, Any]) -> float:
    return float(volume.get("size") or 0) / GIB
