"""What the last update of the stack brought about, as far as this one must know it.

Owns reading that from the stack's own last outputs. They are stored only when an update came to its end: a failed or
killed one leaves those of the update before, and the next goes on where it stopped. Does not own what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

BOOTSTRAPPED = "complete"
# Types of the resources that stand for libvirt's objects.
DOMAIN, VOLUME = "libvirt:index/domain:Domain", "libvirt:index/volume:Volume"
NETWORK, POOL = "libvirt:index/network:Network", "libvirt:index/pool:Pool"
SEED = "libvirt:index/cloudInitDisk:CloudInitDisk"


@dataclass(frozen=True)
class Before:
    """`bootstrapped`: the cluster runs without its bootstrap machine. `members`: names of machines that had joined.

    `ingress` is the pool that the ingress was on, None where the last update did not say. `outputs` are the last ones
    in full, secrets among them: they are never shown. `resources` are what the state holds, each with `urn`, `type` and
    `outputs`, after a failed or killed update as well: what is there belongs to the stack.
    """

    bootstrapped: bool = False
    installed: bool = False
    members: frozenset[str] = frozenset()
    ingress: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    resources: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, outputs: Mapping[str, Any], resources: Iterable[Mapping[str, Any]] = ()) -> Self:
        """What a stack's last outputs tell, and the resources that its state holds; a new stack has none of either."""
        bootstrap, installation = _part(outputs, "bootstrap"), _part(outputs, "installation")
        return cls(
            bootstrapped=bootstrap.get("state") == BOOTSTRAPPED,
            installed=bool(installation.get("installed")),
            members=frozenset(str(machine["name"]) for machine in installation.get("machines", ())),
            ingress=installation.get("ingress"),
            # The output of that name is the table as it was last asked for, whether or not the update got there.
            outputs={**outputs, "machines": installation.get("machines", ())},
            resources=tuple(resources),
        )


def _part(outputs: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = outputs.get(name)
    return part if isinstance(part, Mapping) else {}
