"""Relations between settings: what is well-formed alone but cannot work together.

Owns which relations are looked at when some values were refused: what would be said about, or follow from, a default in
a refused value's place is not true of the file. Does not own the relations themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import (
    domain_checks,
    image_checks,
    install_checks,
    installer_checks,
    kernel_argument_checks,
    machine_checks,
    network_checks,
    pool_checks,
    proxy_checks,
    release_checks,
    settings_doubts,
    size_checks,
    uplink_checks,
)
from cluster.settings_problems import Problem, Refused

if TYPE_CHECKING:
    from cluster.settings import Settings


@dataclass(frozen=True)
class Found:
    """What does not hold, by what becomes of it."""

    refused: tuple[Problem, ...]
    warned: tuple[Problem, ...]


def check(settings: Settings, reported: Sequence[str], directory: Path | None, *, stands: bool) -> Found:
    """Every relation that does not hold; `reported` names settings whose value was refused and replaced by a default.

    `directory` is where relative paths of files on this machine start; None leaves these alone. Where the cluster
    stands, what only its installation could change is a doubt.
    """
    refused = Refused(frozenset(reported))
    found = [
        *machine_checks.macs(settings),
        *machine_checks.names(settings),
        *machine_checks.domain(settings),
        *network_checks.check(settings, refused),
        *uplink_checks.check(settings, refused),
        *install_checks.check(settings, refused, directory),
        *release_checks.check(settings, refused, directory),
        *image_checks.check(settings, refused),
        *domain_checks.uplink(settings, refused),
        *proxy_checks.check(settings, refused),
        *installer_checks.check(settings, refused),
        *kernel_argument_checks.check(settings),
    ]
    doubtful = list(settings_doubts.check(settings))
    (doubtful if stands else found).extend(
        [*domain_checks.check(settings, refused), *proxy_checks.reach(settings, refused)]
    )
    roles_sure = not machine_checks.roles_unsure(refused)
    if roles_sure:
        found += [*machine_checks.roles(settings), *pool_checks.check(settings, refused)]
    severity = settings.checks.minimum_sizes
    if severity != "ignore" and not refused.touches("checks.minimumSizes"):
        (found if severity == "refuse" else doubtful).extend(size_checks.check(settings, roles_sure=roles_sure))
    return Found(tuple(one for one in found if not refused.holds(one.setting)), tuple(doubtful))
