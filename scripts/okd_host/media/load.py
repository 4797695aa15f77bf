"""The release from removable media, in place of the network.

Owns reading manifests and blobs out of the parts, and pushing what the mirror lacks, straight from there: the services
host needs no room for a second copy, and no oc. Does not own what is lacking: a survey says that.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any

from okd_host import report
from okd_host.media import parts
from okd_host.mirror import places, trouble
from okd_host.mirror.payload import Image, Release
from okd_host.mirror.registry import PASSING, Refused, Registry
from okd_host.mirror.storage import LAYERS
from okd_host.mirror.survey import Survey

VERIFIED = "media.json"


class Media:
    """What is on the media in `directory`; the same questions as to the network."""

    origin = "the media"

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.index: dict[str, Any] = {}
        self._archive: tarfile.TarFile | None = None
        self._members: dict[str, tarfile.TarInfo] = {}

    def ping(self, sources: Sequence[str]) -> None:
        """Every part is whole. Raises Failed naming the one that is not."""
        self.index = parts.read_index(self.directory)
        known = places.recall(places.path(VERIFIED))
        try:
            parts.verify(self.directory, self.index["parts"], known, lambda what: report.say(f"  verifying {what}"))
        finally:
            places.remember(places.path(VERIFIED), known)
        reader = io.BufferedReader(parts.Reader(self.directory, self.index["parts"]), parts.CHUNK)
        self._archive = tarfile.open(fileobj=reader)  # noqa: SIM115
        self._members = {member.name: member for member in self._archive}

    def reader(self, kind: str, digest: str) -> tuple[Any, int]:
        """A file with a manifest or blob, and its size."""
        if self._archive is None:
            self.ping(())
        assert self._archive is not None
        member = self._members.get(f"{kind}/{digest}")
        if member is None:
            raise Refused(self.directory, 404, f"{self.directory} has no {kind}/{digest}")
        return self._archive.extractfile(member), member.size

    def fetch(self, kind: str, source: str, digest: str) -> bytes:
        """A manifest or blob."""
        file, _ = self.reader(kind, digest)
        return bytes(file.read())

    def resolve(self, source: str, tag: str) -> str:
        """The digest that `tag` stood for when the media were saved."""
        for row in [self.index, *self.index["extra"]]:
            if row["image"] == f"{source}:{tag}":
                return str(row["digest"])
        raise report.Failed(
            f"the media hold {self.index['image']}, not {source}:{tag}",
            file=os.path.join(self.directory, parts.INDEX),
            remedy="save what release.image and release.additionalImages name, or name what the media hold",
            in_service="what was mirrored before; nothing of the media was taken",
        )

    def signatures(self, directory: str) -> None:
        """Write the release's signatures as oc would have."""
        for name, member in self._members.items():
            folder, _, base = name.partition("/")
            if folder == "signatures" and self._archive:
                os.makedirs(directory, exist_ok=True)
                file = self._archive.extractfile(member)
                places.write(os.path.join(directory, base), file.read() if file else b"", 0o640)


def _upload(mirror: Registry, media: Media, repository: str, digest: str, attempts: int) -> None:
    """One blob, tried again from its beginning when the connection breaks."""
    for attempt in range(attempts):
        file, size = media.reader("blobs", digest)
        try:
            mirror.put(repository, digest, file, size)
            return
        except (OSError, HTTPException, Refused) as error:
            again = not isinstance(error, Refused) or error.status in PASSING
            if attempt + 1 == attempts or not again or trouble.recognise(str(error)).kind == "full":
                raise
            time.sleep(2.0**attempt)


def _tag(image: Image, release: Release, architecture: str) -> str:
    """The tag by which oc would have mirrored the image: without one, a clean-up of the registry takes it."""
    if image.name == "release":
        return release.version
    return f"{release.version}-{architecture}-{image.name}" if "/" not in image.name else f"sha256-{image.digest[7:19]}"


def push(survey: Survey, media: Media, release: Release, architecture: str, attempts: int, progress: Any) -> None:
    """Push what the mirror lacks; blobs first, so that every image is whole once its manifest is there."""
    said = time.monotonic()
    for image in survey.lacking:
        for digest in sorted(survey.blobs[image]):
            if survey.storage.linked(image.repository, LAYERS, digest):
                continue
            owner = next((name for name in survey.repositories if survey.storage.linked(name, LAYERS, digest)), "")
            if not owner or not survey.mirror.mount(image.repository, digest, owner):
                _upload(survey.mirror, media, image.repository, digest, attempts)
            if time.monotonic() - said > 5:
                said = time.monotonic()
                progress.say()
    for image in survey.lacking:
        rows = survey.manifests[image]
        # A list comes first; the registry wants what it names before it.
        for digest, content in reversed(list(rows.items())):
            document = json.loads(content or b"{}")
            kind = document.get("mediaType") or (
                "application/vnd.oci.image.index.v1+json"
                if "manifests" in document
                else "application/vnd.oci.image.manifest.v1+json"
            )
            names = [digest] + ([_tag(image, release, architecture)] if digest == image.digest else [])
            for name in names:
                survey.mirror.put_manifest(image.repository, name, content or b"", kind)
    progress.say()
