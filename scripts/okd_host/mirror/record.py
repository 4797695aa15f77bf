"""The record of the last complete, verified mirror, and the release's signature.

Owns `mirror.json`, and when what it says is still what is meant. Does not own whether the mirror is complete.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from okd_host.mirror import places
from okd_host.mirror.job import Job
from okd_host.mirror.payload import Image, Release

NAME = "mirror.json"
SIGNATURES = "signatures"
NO_KEYS = "No release authenticity verification is configured"
NOT_VERIFIED = "failed verification"


class Record:
    """What was recorded; empty before the first complete mirror."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.path = places.path(NAME)
        self.known: dict[str, Any] = places.recall(self.path)

    def release(self) -> Release | None:
        """The release of the last complete mirror, when it is still the one that is meant."""
        known, asked = self.known, self.job.release
        if known.get("image") != asked["image"] or known.get("architecture") != asked["architecture"]:
            return None
        if self.job.pinned and known["digest"] != self.job.pinned:
            return None
        repository = self.job.document["contentRepository"]
        images = tuple(
            Image(i["name"], i["digest"], i["source"], repository, i.get("place", "")) for i in known["images"]
        )
        return Release(known["digest"], known["version"], self.job.source, images)

    def extra(self, image: Image) -> str:
        """The digest of an image beside the release; empty when it is not known."""
        rows = {row["name"]: row["digest"] for row in self.known.get("extra", [])}
        return str(rows.get(image.name, ""))

    def same_image_set(self) -> bool:
        """Whether oc-mirror has mirrored this very image set: what is in its catalogs no one but it knows."""
        return self.job.engine != "oc-mirror" or self.known.get("imageSet") == self.job.document.get("imageSet")

    def signature(self, release: Release, said: str) -> dict[str, Any]:
        """The state of the signature: by what oc `said` when it copied, as recorded when it did not have to."""
        if not said and self.known.get("digest") == release.digest:
            return dict(self.known["signature"])
        warning = next((line for line in said.splitlines() if NOT_VERIFIED in line), "")
        why = "the release names no keys to verify it with" if NO_KEYS in said else warning.partition("warning: ")[2]
        # Nobody but oc verifies it.
        verified = (not warning) if said else None
        return {"file": _signature_file(release.digest), "verified": verified, "why": why}

    def write(self, release: Release, extra: list[Image], signature: dict[str, Any]) -> None:
        """Record a mirror that is complete."""
        document = {
            "image": self.job.release["image"],
            "digest": release.digest,
            "version": release.version,
            "architecture": self.job.release["architecture"],
            "contentRepository": self.job.document["contentRepository"],
            "images": [
                {"name": i.name, "digest": i.digest, "source": i.source} | ({"place": i.place} if i.place else {})
                for i in release.images
            ],
            "extra": [{"name": i.name, "digest": i.digest} for i in extra],
            "signature": signature,
            "imageSet": self.job.document.get("imageSet"),
        }
        if document != self.known:
            places.write(self.path, json.dumps(document, indent=1).encode() + b"\n", 0o644)


def _signature_file(digest: str) -> str | None:
    """The file with the signature ConfigMap, below the release's directory."""
    start = f"signature-sha256-{digest.partition(':')[2][:8]}"
    with suppress(FileNotFoundError):
        for name in os.listdir(places.path(SIGNATURES)):
            if name.startswith(start):
                return os.path.join(SIGNATURES, name)
    return None
