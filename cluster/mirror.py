"""The mirrored release: what the host agent's verbs `fetch`, `mirror` and `tools` read.

Owns which repository of the mirror registry holds what, and those documents. Does not own the mirroring (scripts/), nor
the pull secret, of which only the SHA-256 is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster import pull_secret
from cluster.architectures import GO_ARCHITECTURES
from cluster.certificates import load
from cluster.host_os import REGISTRY_MOUNT, RELEASE
from cluster.images import Reference, in_mirror
from cluster.project_files import resolved
from cluster.release_settings import FCOS_REPOSITORY, SCOS_REPOSITORY
from cluster.site import Site

# The release page keeps the archive's SHA-256 in a file of that name.
CLIENT_ARCHIVE, CLIENT_SUMS = "oc.tar.gz", "sha256sum.txt"
# oc-mirror puts every release there, whatever its source.
OC_MIRROR_RELEASE, OC_MIRROR_CONTENT = "openshift/release-images", "openshift/release"
OKD_CHANNEL = "4-stable"


def release_repository(site: Site) -> str:
    """The mirror registry's repository for the release image."""
    release = site.settings.release
    return OC_MIRROR_RELEASE if release.engine == "oc-mirror" else in_mirror(release.reference.repository)


def content_repository(site: Site) -> str:
    """The mirror registry's repository for the whole payload: the tools put all its images into one."""
    release = site.settings.release
    if release.engine == "oc-mirror":
        return OC_MIRROR_CONTENT
    others = [source for source in release.sources if source != release.reference.repository]
    return in_mirror(others[0]) if others else release_repository(site)


def mirrors(site: Site) -> dict[str, list[str]]:
    """Where nodes find what a source holds: mirror repositories by source, in order of trial."""
    release = site.settings.release
    content, found = content_repository(site), {}
    for source in (*release.sources, *release.origins):
        # A release in a mirror is still named by where it came from.
        whole = source in (release.reference.repository, SCOS_REPOSITORY, FCOS_REPOSITORY)
        own = [release_repository(site)] if whole else []
        found[source] = list(dict.fromkeys([*own, content]))
    for image in release.additional_images:
        source = Reference.parse(image).repository
        found[source] = list(dict.fromkeys([*found.get(source, []), in_mirror(source)]))
    return {source: [f"{site.registry}/{path}" for path in paths] for source, paths in found.items()}


def trusted_certificates(site: Site) -> list[str]:
    """The certificates of registries and proxies that the settings trust, in PEM form.

    Raises:
        OSError, ValueError: a file that settings were checked with has changed since.
    """
    settings = site.settings
    paths = [resolved(path, settings.directory) for path in settings.release.trusted_certificates]
    return list(dict.fromkeys(block for path in paths for block in load(path)))


def downloads(site: Site, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Whom a verb that downloads trusts, and with which passwords; empty where the settings give neither.

    `hashes` as of `mirror_document`.
    """
    trust = trusted_certificates(site)
    found: dict[str, Any] = {"trust": trust} if trust else {}
    if site.settings.release.pull_secret is not None:
        found["pullSecret"] = secret(pull_secret.MERGED, hashes)
    return found


def client_fetch(site: Site, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What `fetch` reads to bring the first `oc`; `hashes` as of `mirror_document`."""
    client = site.settings.release.client
    row = {"url": client.location, "sha256": client.sha256, "path": CLIENT_ARCHIVE, "sums": CLIENT_SUMS}
    return {"root": f"{RELEASE}/downloads", "files": [row]} | downloads(site, hashes)


def release_document(site: Site) -> dict[str, str | None]:
    """Which release is meant, as every document has it."""
    release = site.settings.release
    return {
        "image": release.image,
        "digest": release.digest,
        "version": release.version,
        "architecture": release.architecture,
    }


def mirror_document(site: Site, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What `mirror` reads; `hashes` are SHA-256 (hex) by the secrets' names."""
    release = site.settings.release
    return {
        "release": release_document(site),
        "sources": [*release.sources, *release.origins],
        "registry": site.registry,
        "releaseRepository": release_repository(site),
        "contentRepository": content_repository(site),
        "images": [
            {"source": image, "repository": in_mirror(Reference.parse(image).repository)}
            for image in release.additional_images
        ],
        "engine": release.engine,
        "imageSet": image_set(site) if release.engine == "oc-mirror" else None,
        "archive": f"{RELEASE}/downloads/{CLIENT_ARCHIVE}",
        "trust": trusted_certificates(site),
        "registryCa": registry_ca(site),
        "storage": REGISTRY_MOUNT,
        "pullSecret": secret(pull_secret.MERGED, hashes),
        "attempts": release.attempts,
        "media": {"directory": release.media} if release.media else None,
        "units": {"registry": site.host_os.registry.unit},
    }


def image_set(site: Site) -> dict[str, Any]:
    """What oc-mirror reads: exactly this release, the catalogs and the additional images."""
    release = site.settings.release
    channel = {
        "name": OKD_CHANNEL,
        "type": "okd",
        "minVersion": release.version,
        "maxVersion": release.version,
    }
    platform = {"architectures": [GO_ARCHITECTURES[release.architecture]], "channels": [channel], "graph": False}
    content: dict[str, Any] = {"platform": platform}
    if release.operator_catalogs:
        content["operators"] = [
            {"catalog": one.catalog} | ({"packages": [{"name": name} for name in one.packages]} if one.packages else {})
            for one in release.operator_catalogs
        ]
    if release.additional_images:
        content["additionalImages"] = [{"name": image} for image in release.additional_images]
    return {"apiVersion": "mirror.openshift.io/v2alpha1", "kind": "ImageSetConfiguration", "mirror": content}


def tools_document(site: Site, release: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    """What `tools` reads; `release` is what `mirror` reports."""
    return {
        "release": release["release"],
        "version": release["version"],
        "registryCa": registry_ca(site),
        "pullSecret": secret(pull_secret.MERGED, hashes),
    }


def registry_ca(site: Site) -> str:
    """The CA certificate of the mirror registry on the services host."""
    return f"{site.host_os.registry_tls}/ca.crt"


def secret(name: str, hashes: Mapping[str, str]) -> dict[str, str]:
    """A secret as documents name it: kept on the services host, verified by its SHA-256."""
    return {"secret": name, "sha256": hashes[name]}
