"""What a release consists of, read from the release image itself.

Owns finding the list of images in the release image and holding it against the settings: digest, version,
architecture, sources. Does not own where the content comes from: `fetch` is given.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from okd_host import report

# (kind, registry/repository, digest or tag) to content; kind is `manifests` or `blobs`.
Fetch = Callable[[str, str, str], bytes]
LISTS = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
REFERENCES = "release-manifests/image-references"
METADATA = "release-manifests/release-metadata"


class Image(NamedTuple):
    """An image to mirror: from `source` (registry/repository) to `repository` of the mirror.

    `source` is what it is named by; `place`, where there is one, is the mirror in which it really lies.
    """

    name: str
    digest: str
    source: str
    repository: str
    place: str = ""

    @property
    def origin(self) -> str:
        """Where it is fetched from."""
        return self.place or self.source


class Release(NamedTuple):
    """A release; `images` is its payload, without the release image."""

    digest: str
    version: str
    source: str
    images: tuple[Image, ...]

    @property
    def from_mirror(self) -> bool:
        """Whether it is copied from a mirror of it."""
        return any(image.place for image in self.images)


class Contents(NamedTuple):
    """What an image consists of: its manifests (a list has several; None is one that nobody has), its blobs' sizes."""

    manifests: dict[str, bytes | None]
    sizes: dict[str, int]


def contents(digest: str, get: Callable[[str], bytes | None]) -> Contents:
    """What the image `digest` consists of; `get` returns a manifest."""
    found = Contents({}, {})
    waiting = [digest]
    while waiting:
        current = waiting.pop()
        content = found.manifests[current] = get(current)
        document = json.loads(content) if content else {}
        waiting += [row["digest"] for row in document.get("manifests", [])]
        for row in [*([document["config"]] if "config" in document else []), *document.get("layers", [])]:
            # The content of a layer with addresses of its own is nobody's to mirror.
            if not row.get("urls"):
                found.sizes[row["digest"]] = row["size"]
    return found


def split(reference: str) -> tuple[str, str, str]:
    """Repository (with its registry), tag and digest of an image reference."""
    rest, _, digest = reference.partition("@")
    repository, colon, tag = rest.rpartition(":")
    return (repository, tag, digest) if colon and "/" not in tag else (rest, "", digest)


def _wrong(why: str, message: str, remedy: str) -> report.Failed:
    return report.Failed(why, message=message, remedy=remedy, in_service="what was mirrored before")


def _own_manifest(document: dict[str, Any], source: str, architecture: str, fetch: Fetch) -> dict[str, Any]:
    """The manifest of the image for `architecture`, out of a list if it is one."""
    wanted = ARCHITECTURES[architecture]
    if document.get("mediaType") not in LISTS and "manifests" not in document:
        config = json.loads(fetch("blobs", source, document["config"]["digest"]))
        found = {config.get("architecture", ""): document}
    else:
        found = {row.get("platform", {}).get("architecture", ""): row for row in document["manifests"]}
    if wanted not in found:
        raise _wrong(
            f"the release is not for {architecture}",
            f"it is for {', '.join(sorted(found))}",
            "set release.architecture in the settings to what the release is for, or take another release",
        )
    if found[wanted] is document:
        return document
    loaded: dict[str, Any] = json.loads(fetch("manifests", source, found[wanted]["digest"]))
    return loaded


def _layers(document: dict[str, Any], source: str, fetch: Fetch) -> Iterator[tarfile.TarFile]:
    """The layers of an image, the last one first."""
    for layer in reversed(document["layers"]):
        with tarfile.open(fileobj=io.BytesIO(fetch("blobs", source, layer["digest"]))) as archive:
            yield archive


def _texts(archive: tarfile.TarFile, wanted: Callable[[str], bool]) -> dict[str, str]:
    """The files of a layer whose names are `wanted`."""
    found = {}
    for member in archive:
        name = member.name.lstrip("./")
        reader = archive.extractfile(member) if member.isfile() and wanted(name) else None
        if reader:
            found[name] = reader.read().decode(errors="replace")
    return found


def _files(document: dict[str, Any], source: str, fetch: Fetch) -> dict[str, Any]:
    """The two files that describe the release; they are in one of the last layers."""
    for archive in _layers(document, source, fetch):
        found = _texts(archive, lambda name: name in (REFERENCES, METADATA))
        if REFERENCES in found:
            return {name: json.loads(text) for name, text in found.items()}
    raise _wrong(
        f"{source} holds no release",
        f"no layer of the image has {REFERENCES}",
        "set release.image in the settings to a release image",
    )


def manifests(source: str, digest: str, *, architecture: str, fetch: Fetch) -> list[str]:
    """The manifests in a release image that a cluster is made of, in the order of their names."""
    document = _own_manifest(json.loads(fetch("manifests", source, digest)), source, architecture, fetch)
    for archive in _layers(document, source, fetch):
        found = _texts(archive, lambda name: name.startswith("release-manifests/"))
        if REFERENCES in found:
            return [found[name] for name in sorted(found) if name not in (REFERENCES, METADATA)]
    return []


def read(source: str, digest: str, *, architecture: str, repository: str, fetch: Fetch) -> Release:
    """The release whose image is `digest` in `source`; its payload goes to `repository`."""
    document = json.loads(fetch("manifests", source, digest))
    found = _files(_own_manifest(document, source, architecture, fetch), source, fetch)
    images = []
    for tag in found[REFERENCES]["spec"]["tags"]:
        if tag.get("from", {}).get("kind") != "DockerImage":
            continue
        place, _, wanted = split(tag["from"]["name"])
        images.append(Image(tag["name"], wanted, place, repository))
    metadata = found.get(METADATA, {})
    version = str(metadata.get("version") or found[REFERENCES]["metadata"]["name"])
    return Release(digest, version, source, tuple(images))


def located(release: Release, sources: Sequence[str], has: Callable[[str, str], bool]) -> Release:
    """The release with each image where it really lies: a mirror's payload is still named by where it came from.

    A mirror has all of it in the release's own repository, or in another of `sources` at the same registry; `has` tells
    whether a repository holds a digest.
    """
    host = release.source.partition("/")[0]
    far = [image for image in release.images if image.source.partition("/")[0] != host]
    near = [release.source, *(source for source in sources if source.partition("/")[0] == host)]
    place = next((place for place in dict.fromkeys(near) if has(place, far[0].digest)), "") if far else ""
    images = (image._replace(place=place) if image in far else image for image in release.images)
    return release._replace(images=tuple(images)) if place else release


def check(release: Release, *, version: str | None, sources: Sequence[str]) -> None:
    """Raises Failed unless the release is the `version` that is meant and all of it comes from `sources`."""
    if version and release.version != version:
        raise _wrong(
            f"the release is {release.version}, not {version}",
            f"{release.source}@{release.digest}",
            "let release.version and release.image in the settings name the same release",
        )
    strangers = sorted({image.source for image in release.images} - set(sources))
    if strangers:
        raise _wrong(
            f"the release takes images from {', '.join(strangers)}, which is not among the sources",
            "\n".join(f"{i.name} {i.source}@{i.digest}" for i in release.images if i.source in strangers),
            "add it to release.sources in the settings: the cluster needs a mirror for each of them",
        )
