"""What a change of the settings does to the whole stack: libvirt host, storage, networks, release, installation.

Owns those effects, in words, in the order in which an update meets them. Does not own what is in files
(files.py), the services host (services.py), nor single machines (machines.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import manifests, mirror, pull_secret
from cluster.before import DOMAIN, NETWORK, POOL, VOLUME
from cluster.changes import files, ingress, machines, services
from cluster.changes.effects import Effect, effect, listed
from cluster.changes.standing import PROVIDER, Document, Standing
from cluster.places import without_password
from cluster.plan import Plan

Image = services.Image
CLUSTER, UPLINK = "network-cluster", "network-uplink"
# Of a mirror's document: what of it says which images there shall be.
MIRRORED = ("sources", "images", "imageSet", "engine")
# What a mirror reports, where only the settings' part of the boot image's document counts.
NO_RELEASE = {"version": "", "digest": ""}


def effects(standing: Standing, plan: Plan, image: Image, domain_type: str | None) -> Iterator[Effect]:
    """The effects on all but single machines; `image` gives what identifies the services host's."""
    below = [*_storage(standing, plan), *_networks(standing, plan), *_accelerator(standing, domain_type)]
    yield from _host(standing, plan)
    yield from below
    rebuilt = list(services.host(standing, plan, image, below))
    yield from rebuilt
    yield from services.registry(standing, plan)
    if not rebuilt:
        yield from services.services(standing, plan)
    yield from _release(standing, plan)
    yield from _installation(standing, plan)


def _host(standing: Standing, plan: Plan) -> Iterator[Effect]:
    was = without_password(standing.outputs(PROVIDER, "hypervisor-libvirt").get("uri") or "")
    now = plan.settings.hypervisor.uri
    if was and was != now:
        yield effect(
            f"hypervisor.uri {was} -> {now}: nothing moves; what stands is looked for there under the same names and "
            "ids, so it has to be another way to the same libvirt host"
        )


def _storage(standing: Standing, plan: Plan) -> Iterator[Effect]:
    target = standing.outputs(POOL, "hypervisor-pool").get("target") or {}
    was, now = target.get("path"), str(plan.settings.hypervisor.pool_path)
    if was and was != now:
        volumes = [name for kind, name in standing.resources if kind == VOLUME]
        yield effect(
            f"hypervisor.poolPath {was} -> {now}: the pool is made anew, and every volume and machine with it; what "
            "is on the disks is lost, the mirror too",
            ["hypervisor-pool", services.SEED_DISK, services.HOST, *volumes, *_domains(standing)],
        )


def _networks(standing: Standing, plan: Plan) -> Iterator[Effect]:
    was, mtu = standing.outputs(NETWORK, CLUSTER).get("mtu"), plan.settings.network.mtu
    if was is not None and int(was) != mtu:
        yield effect(
            f"network.mtu {int(was)} -> {mtu}: the cluster network is made anew, and with it the domain of every "
            "machine on it; their disks stay",
            [CLUSTER, services.HOST, *_domains(standing)],
        )
    addresses, uplink = standing.outputs(NETWORK, UPLINK).get("addresses"), plan.settings.uplink
    if addresses and uplink.bridge:
        yield effect(
            f"uplink.bridge {uplink.bridge}: the NAT network {addresses[0]} is removed",
            [UPLINK, services.HOST],
        )
    elif addresses and addresses[0] != str(uplink.cidr):
        yield effect(
            f"uplink.cidr {addresses[0]} -> {uplink.cidr}: the uplink's NAT network is made anew",
            [UPLINK, services.HOST],
        )
    elif not addresses and not uplink.bridge and standing.outputs(DOMAIN, services.HOST):
        yield effect(f"uplink.cidr {uplink.cidr}: a NAT network is made in place of a bridge", [services.HOST])


def _accelerator(standing: Standing, domain_type: str | None) -> Iterator[Effect]:
    was = standing.outputs(DOMAIN, services.HOST).get("type")
    if was and domain_type and was != domain_type:
        yield effect(
            f"hypervisor.accelerator {was} -> {domain_type}: every machine's domain is made anew; their disks stay",
            [services.HOST, *_domains(standing)],
        )


def _domains(standing: Standing) -> list[str]:
    return [machines.domain(row) for row in standing.machines.values()]


def _release(standing: Standing, plan: Plan) -> Iterator[Effect]:
    old = standing.document("mirror-release")
    if old is None:
        return
    new = mirror.mirror_document(plan, {pull_secret.MERGED: ""})
    told = "the running cluster is not upgraded by it" if standing.installed else "machines are installed from it then"
    if old["release"] != new["release"]:
        was, now = _release_name(old["release"]), _release_name(new["release"])
        yield effect(f"release {was} -> {now}: mirrored beside what the registry holds, with its tools; {told}")
    elif different := [key for key in MIRRORED if old.get(key) != new[key]]:
        yield effect(f"what is mirrored changes ({listed(different)}): what is missing is added, nothing is removed")
    fetched = (standing.document("boot-image-fetch") or {}).get("files")
    planned = plan.boot_image(NO_RELEASE, {pull_secret.MERGED: ""})["files"]
    if standing.document("boot-image-fetch") and fetched != planned:
        yield effect("bootImage: fetched again; a machine that is installed does not read it any more")


def _catalogs_change(standing: Standing, plan: Plan) -> bool:
    old = (standing.document("mirror-release") or {}).get("imageSet") or {}
    new = mirror.image_set(plan) if plan.settings.release.engine == "oc-mirror" else {"mirror": {}}
    return bool(old.get("mirror", {}).get("operators") != new["mirror"].get("operators"))


def _release_name(release: Document) -> str:
    return str(release["version"] or release["digest"] or release["image"])


def _installation(standing: Standing, plan: Plan) -> Iterator[Effect]:
    changed = files.documents(standing, plan)
    if ingress.moves(plan):
        # What it says reaches the running cluster as well.
        changed = [name for name in changed if name != manifests.INGRESS_FILE]
    if changed and standing.installed:
        yield effect(
            f"{listed(changed)}: read when a cluster is installed, and at no other time. Nothing of the running "
            "cluster changes by it; change it there with `oc`"
        )
    elif changed:
        yield effect(
            f"{listed(changed)}: the ignition configs are made anew; a machine that is installed already is not rebuilt"
        )
    if standing.installed and _catalogs_change(standing, plan):
        yield effect(
            "release.operatorCatalogs: the running cluster gets a CatalogSource for each that is new, and nodes take "
            "up the mirrors of what is in them; one that is taken out stays in the cluster until `oc delete` removes it"
        )
    hub = (standing.document("installation-complete") or {}).get("operatorHub", False)
    if hub is None and plan.settings.install.default_catalog_sources == "disabled":
        yield effect("install.defaultCatalogSources: the default catalog sources of the running cluster are disabled")
