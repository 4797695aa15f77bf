"""What a change of the settings does to the services host and to what it serves, in words.

Owns why the services host is rebuilt, what survives that, and which services take up new files without it. Does not own
the files' own differences (files.py), nor networks and storage below the host (stack.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import yaml

from cluster import cloud_init
from cluster.before import DOMAIN, SEED, VOLUME
from cluster.changes import files
from cluster.changes.effects import Effect, effect, listed
from cluster.changes.standing import Standing
from cluster.host_files import Bundle
from cluster.plan import Plan

Image = Callable[[], str] | None
HOST, ROOT, SEED_DISK, BASE, DATA = (
    "services-domain",
    "services-root",
    "services-seed",
    "services-base",
    "services-registry-data",
)


def host(standing: Standing, plan: Plan, image: Image, below: Sequence[Effect]) -> Iterator[Effect]:
    """Why the services host is rebuilt, if it is.

    Args:
        standing: what stands.
        plan: the stack as it is planned now.
        image: gives the SHA-256 (hex) that identifies its image; None when it is not known.
        below: what changes of the networks and the storage.
    """
    if not standing.outputs(DOMAIN, HOST):
        yield effect("the services host is made, and every service is delivered to it")
        return
    under = [one for one in below if HOST in one.replaces]
    seed, base = list(_seed(standing, plan)), _base(standing, plan, image)
    root = [*seed, *base, *_root(standing, plan)]
    reasons = list(dict.fromkeys([one.words.partition(":")[0] for one in under] + root + list(_domain(standing, plan))))
    if not reasons:
        return
    gone = {HOST, *([SEED_DISK] if seed else []), *([BASE] if base else []), *([ROOT] if root else [])}
    lost = gone.union(*(one.replaces for one in under))
    disks = "it gets a new root disk" if ROOT in lost else "its disks stay"
    if ROOT in lost and DATA not in lost and not list(_data(standing, plan)):
        disks += "; the registry's volume, and the mirror on it, stays"
    yield effect(
        f"the services host is rebuilt for {listed(reasons)}: {disks}. Every service is delivered to it again; "
        "until then the cluster network has none",
        gone,
    )


def registry(standing: Standing, plan: Plan) -> Iterator[Effect]:
    """What becomes of the registry's volume."""
    for change in _data(standing, plan):
        yield effect(
            f"{change}: the registry's volume is made anew and empty; the release is mirrored into it again", [DATA]
        )


def services(standing: Standing, plan: Plan) -> Iterator[Effect]:
    """Which services take up new files while everything stays where it is."""
    changed = files.changed(standing, plan)
    bundles = [bundle for bundle in plan.bundles if bundle.service in changed]
    if bundles:
        told = listed([f"{bundle.service}{_action(bundle, changed[bundle.service])}" for bundle in bundles])
        yield effect(f"delivered again: {told}; each checked by its own daemon first, nothing is rebuilt for it")
    if any("pxelinux" in path or path.endswith(".ipxe") for path in changed.get("boot", ())):
        yield effect(
            "boot profiles count at the next boot from the network; a machine that is installed boots from its disk"
        )


def _action(bundle: Bundle, paths: list[str]) -> str:
    """What the daemon does, as the host agent decides it."""
    if any(fnmatchcase(path, pattern) for path in paths for pattern in bundle.restart_on):
        return " (restarts)"
    return " (reloads)" if paths and bundle.reload else ""


def _domain(standing: Standing, plan: Plan) -> Iterator[str]:
    was, settings = standing.outputs(DOMAIN, HOST), plan.settings
    for key, setting, size in (
        ("vcpu", "cpus", settings.services.cpus),
        ("memory", "memoryMiB", settings.services.memory_mib),
    ):
        if key in was and int(was[key]) != size:
            yield f"services.{setting} {int(was[key])} -> {size}"
    bridges = [card["bridge"] for card in was.get("networkInterfaces") or () if card.get("bridge")]
    if bridges and settings.uplink.bridge and bridges[0] != settings.uplink.bridge:
        yield f"uplink.bridge {bridges[0]} -> {settings.uplink.bridge}"
    yield from _data(standing, plan)


def _data(standing: Standing, plan: Plan) -> Iterator[str]:
    yield from _size("registryGiB", standing.gib(DATA), plan.settings.services.registry_gib)


def _root(standing: Standing, plan: Plan) -> Iterator[str]:
    yield from _size("diskGiB", standing.gib(ROOT), plan.settings.services.disk_gib)


def _size(setting: str, old: int | None, new: int) -> Iterator[str]:
    if old is not None and old != new:
        yield f"services.{setting} {old} -> {new}"


def _base(standing: Standing, plan: Plan, image: Image) -> list[str]:
    was = standing.outputs(VOLUME, BASE).get("name")
    name = plan.settings.services.name
    other = was and image and not str(was).endswith(f"{name}-base-{image()[:12]}")
    return ["services.image (other content)"] if other else []


def _seed(standing: Standing, plan: Plan) -> Iterator[str]:
    """What of the seed's network and names changes, as settings."""
    was = standing.outputs(SEED, SEED_DISK)
    if not was.get("networkConfig") or not was.get("metaData"):
        return
    old, new = _facts(yaml.safe_load(was["networkConfig"])), _facts(cloud_init.network_config(plan))
    for setting in new:
        if old[setting] != new[setting]:
            yield f"{setting} {old[setting] or 'none'} -> {new[setting] or 'none'}"
    old_name, new_name = yaml.safe_load(was["metaData"])["local-hostname"], plan.services_fqdn
    if old_name != new_name:
        yield f"its name {old_name} -> {new_name}"


def _facts(network: dict[str, Any]) -> dict[str, str]:
    uplink, cluster = network["ethernets"]["uplink"], network["bridges"]["cluster"]
    return {
        "network.mtu": str(cluster["mtu"]),
        "services.address": cluster["addresses"][0],
        "uplink.address": uplink["addresses"][0],
        "uplink.gateway": uplink["routes"][0]["via"],
        "uplink.resolvers": listed(uplink.get("nameservers", {}).get("addresses", [])),
    }
