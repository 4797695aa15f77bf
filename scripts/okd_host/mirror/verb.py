"""mirror: copy a release to the mirror registry, and prove that all of it is there.

Document: {"release": {"image", "digest", "version", "architecture"}, "sources": [repositories],
"registry", "releaseRepository", "contentRepository", "images": [{"source", "repository"}], "engine": "oc" | "oc-mirror",
"imageSet", "archive": archive with oc, "trust": [PEM], "registryCa", "storage", "pullSecret": {"secret", "sha256"},
"attempts", "media": null | {"directory"}, "units": {"registry"}}.

What is in the registry is asked of it by digest and hashed once; only what is missing or damaged is copied. A run over
a complete mirror needs neither oc nor the upstream. Killed at any point, the next run goes on.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from okd_host import files, report
from okd_host.mirror import client, copying, payload, places
from okd_host.mirror.copying import Copy, amount
from okd_host.mirror.job import Job
from okd_host.mirror.payload import Image, Release
from okd_host.mirror.registry import Refused
from okd_host.mirror.survey import Survey, names

STAGES = ("tools", "access", "release", "space", "copy", "images", "verify", "signature", "record")
RECORD = "mirror.json"
# Others may be mirroring the whole release over a slow line.
WAIT = 6 * 3600.0
TROUBLE = (Refused, OSError, HTTPException)


class _Run:
    """One run, stage by stage."""

    def __init__(self, job: Job, stages: report.Stages) -> None:
        self.job = job
        self.stages = stages
        self.record = places.recall(places.path(RECORD))
        self.program = ""
        self.release = Release("", "", "", ())
        self.surveys: dict[str, Survey] = {}
        self.copied = 0
        self.signature: dict[str, Any] = {}

    def tools(self) -> None:
        with self.stages("tools"):
            self.program = client.unpack(self.job.document["archive"])
            self.stages.detail = self.program

    def access(self) -> None:
        with self.stages("access"):
            try:
                self.job.mirror.ping()
            except TROUBLE as error:
                raise self.job.unreachable("the mirror registry cannot be used", error, self.job.host) from error
            self.stages.detail = f"{self.job.host} answers and takes the password"

    def _recorded(self) -> Release | None:
        """The release of the last complete mirror, when it is still the one that is meant."""
        known, asked = self.record, self.job.release
        if known.get("image") != asked["image"] or (self.job.pinned and known["digest"] != self.job.pinned):
            return None
        if known.get("architecture") != asked["architecture"]:
            return None
        repository = self.job.document["contentRepository"]
        images = tuple(Image(i["name"], i["digest"], i["source"], repository) for i in known["images"])
        return Release(known["digest"], known["version"], self.job.source, images)

    def find(self) -> None:
        job, asked = self.job, self.job.release
        with self.stages("release"):
            found = self._recorded()
            how = "as mirrored before"
            if found is None:
                how = "as the upstream says"
                try:
                    job.network.ping(job.sources)
                    digest = job.network.resolve(job.source, job.tag) if job.tag else job.pinned
                    self._check_digest(digest)
                    found, _ = payload.read(
                        job.source,
                        digest,
                        architecture=asked["architecture"],
                        repository=job.document["contentRepository"],
                        fetch=job.network.fetch,
                    )
                except TROUBLE as error:
                    raise job.unreachable(f"{asked['image']} cannot be read", error) from error
            payload.check(found, version=asked.get("version"), sources=job.sources)
            self.release = found
            self.stages.detail = f"{found.version}, {len(found.images)} images, {found.digest}, {how}"

    def _check_digest(self, digest: str) -> None:
        if self.job.pinned and digest != self.job.pinned:
            raise report.Failed(
                f"{self.job.release['image']} is another release than the pinned one",
                message=f"pinned {self.job.pinned}\nfound  {digest}",
                in_service="what was mirrored before; nothing was copied",
                remedy="find out why the tag moved; then set release.digest in the settings to the digest you want",
            )

    def _images(self) -> dict[str, list[Image]]:
        own = Image("release", self.release.digest, self.release.source, self.job.document["releaseRepository"])
        extra = [image if ":" in image.digest else self._resolved(image) for image in self.job.extra()]
        return {"release": [own, *self.release.images], **({"images": extra} if extra else {})}

    def _resolved(self, image: Image) -> Image:
        known = {row["name"]: row["digest"] for row in self.record.get("extra", [])}
        digest = known.get(image.name) or self.job.network.resolve(image.source, image.digest)
        return image._replace(digest=digest)

    def _survey(self, images: list[Image], fetch: bool) -> Survey:
        return Survey(self.job.mirror, self.job.storage, images, self.job.network.fetch if fetch else None)

    def space(self) -> None:
        job = self.job
        with self.stages("space"):
            try:
                for kind, images in self._images().items():
                    found = self._survey(images, fetch=False)
                    # Only then is the upstream needed: to know what the missing images consist of.
                    self.surveys[kind] = self._survey(images, fetch=True) if found.lacking else found
            except TROUBLE as error:
                raise job.unreachable("what is missing cannot be told", error) from error
            needed = sum(survey.to_copy() for survey in self.surveys.values())
            free = job.storage.free()
            if needed and free < needed + min(needed // 20, copying.SPARE):
                raise report.Failed(
                    f"the release does not fit: {amount(needed)} are missing, {amount(free)} are free",
                    check=f"free space of {job.storage.root}",
                    in_service="what was mirrored before; nothing was copied",
                    remedy="enlarge the registry's data volume in the settings, then run the update again",
                )
            lacking = [image for survey in self.surveys.values() for image in survey.lacking]
            self.stages.detail = f"{amount(needed)} missing in {len(lacking)} images, {amount(free)} free"

    def _copy(self, kind: str) -> None:
        survey = self.surveys[kind]
        self.copied += len(survey.lacking)
        for digest in sorted(survey.damaged):
            report.say(
                f"  {next(why for why in survey.lacking.values() if digest in why)}: removed, to be mirrored again"
            )
        survey.discard()
        self.job.storage.clear_uploads(survey.repositories)
        oc = self.job.oc(self.program)
        copy = Copy(self.job, survey, self.stages)
        if kind == "release":
            origin = f"{self.release.source}@{self.release.digest}"
            copy.run(oc, copying.release_argv(oc, self.job, self.release, origin), "the release cannot be mirrored")
            self._signed(copy)
        else:
            argv = copying.images_argv(oc, self.job, list(survey.lacking))
            copy.run(oc, argv, "the additional images cannot be mirrored")
        self.surveys[kind] = self._survey(list(survey.images), fetch=True)

    def copy(self, stage: str, kind: str) -> None:
        with self.stages(stage):
            survey = self.surveys.get(kind)
            if survey is None:
                self.stages.detail = "none asked for"
            elif not survey.lacking:
                self.stages.detail = f"nothing to copy: {len(survey.images)} images are there"
            else:
                before, size = len(survey.lacking), survey.to_copy()
                self._guarded(kind)
                self.stages.detail = f"{before} of {len(survey.images)} images, {amount(size)}"

    def _guarded(self, kind: str) -> None:
        try:
            self._copy(kind)
        except TROUBLE as error:
            raise self.job.unreachable("copying stopped", error) from error

    def verify(self) -> None:
        with self.stages("verify"):
            for kind, survey in list(self.surveys.items()):
                if survey.lacking:
                    report.say(f"  {names(survey.lacking)}: {next(iter(survey.lacking.values()))}; copying once more")
                    self._guarded(kind)
                still = self.surveys[kind].lacking
                if still:
                    raise report.Failed(
                        f"the mirror is not complete: {names(still)}",
                        message="\n".join(f"{image.name}: {why}" for image, why in still.items()),
                        in_service="the images that are complete",
                        remedy="check the disk of the registry (dmesg, journalctl -u docker-registry), run the update again",
                    )
            count = sum(len(survey.sizes) for survey in self.surveys.values())
            images = sum(len(survey.images) for survey in self.surveys.values())
            self.stages.detail = f"{images} images asked for by digest, {count} blobs, {amount(self._bytes())}"

    def _bytes(self) -> int:
        sizes: dict[str, int] = {}
        for survey in self.surveys.values():
            sizes.update(survey.sizes)
        return sum(sizes.values())

    def _signed(self, copy: Copy) -> None:
        """What oc said about the release's signature."""
        warning = next((line for line in copy.said.splitlines() if "failed verification" in line), "")
        none = "No release authenticity verification is configured" in copy.said
        self.signature = {
            "file": None if copy.unsigned else self._signature_file(),
            "verified": not warning,
            "why": "the release names no keys to verify it with" if none else warning.partition("warning: ")[2],
        }

    def _signature_file(self) -> str | None:
        name = f"signature-sha256-{self.release.digest.partition(':')[2][:16]}"
        with suppress(FileNotFoundError):
            found = [one for one in os.listdir(places.path(copying.SIGNATURES)) if one.startswith(name[:26])]
            return os.path.join(copying.SIGNATURES, found[0]) if found else None
        return None

    def sign(self) -> None:
        with self.stages("signature"):
            known = self.record.get("signature", {}) if self.record.get("digest") == self.release.digest else {}
            self.signature = self.signature or known or {"file": self._signature_file(), "verified": None, "why": ""}
            kept = f"kept in {places.path(str(self.signature['file']))}" if self.signature["file"] else "none"
            if self.signature["verified"] is False:
                kept += f"; THE RELEASE IS NOT VERIFIED: {self.signature['why']}"
            self.stages.detail = kept

    def write(self) -> dict[str, Any]:
        job, release = self.job, self.release
        with self.stages("record"):
            target = places.path(RECORD)
            extra = [image for survey in self.surveys.values() for image in survey.images]
            document = {
                "image": job.release["image"],
                "digest": release.digest,
                "version": release.version,
                "architecture": job.release["architecture"],
                "contentRepository": job.document["contentRepository"],
                "images": [{"name": i.name, "digest": i.digest, "source": i.source} for i in release.images],
                "extra": [{"name": i.name, "digest": i.digest} for i in extra if "/" in i.name],
                "signature": self.signature,
            }
            if self.record != document:
                files.write_now(target, json.dumps(document, indent=1).encode() + b"\n", mode=0o644)
            self.stages.detail = target
        return {
            "version": release.version,
            "digest": release.digest,
            "release": f"{job.host}/{job.document['releaseRepository']}@{release.digest}",
            "images": sum(len(survey.images) for survey in self.surveys.values()),
            "bytes": self._bytes(),
            "copied": self.copied,
        }


def main(arguments: list[str], document: Any) -> None:
    """Mirror the release of `document`."""
    job = Job(document)
    with files.lock("mirror", "mirror", wait=WAIT):
        run = _Run(job, report.Stages(STAGES))
        run.tools()
        run.access()
        run.find()
        run.space()
        run.copy("copy", "release")
        run.copy("images", "images")
        run.verify()
        run.sign()
        result = run.write()
    report.result(result)
