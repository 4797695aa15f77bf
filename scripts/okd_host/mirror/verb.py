"""mirror: copy a release to the mirror registry, and prove that all of it is there.

Document: {"release": {"image", "digest", "version", "architecture"}, "sources": [repositories], "registry",
"releaseRepository", "contentRepository", "images": [{"source", "repository"}], "engine": "oc" | "oc-mirror",
"imageSet", "archive": archive with oc, "trust": [PEM], "registryCa", "storage", "pullSecret": {"secret", "sha256"},
"attempts", "media": null | {"directory"}, "units": {"registry"}}.

What is in the registry is asked of it by digest and hashed once; only what is missing or damaged is copied. A run over
a complete mirror needs neither oc nor the upstream. Killed at any point, the next run goes on. Where the image set has
operator catalogs, the result holds the files with the objects by which a cluster finds them.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import Any

from okd_host import files, limits, report, units
from okd_host.mirror import catalogs, client, copying, payload, places
from okd_host.mirror.copying import amount
from okd_host.mirror.job import Job
from okd_host.mirror.payload import Image, Release
from okd_host.mirror.record import Record
from okd_host.mirror.registry import Refused
from okd_host.mirror.survey import Survey, names

STAGES = ("tools", "access", "release", "space", "copy", "images", "verify", "signature", "record")
# Another run may be mirroring the whole release over a slow line.
TROUBLE = (Refused, OSError, HTTPException)


class _Run:
    """One run, stage by stage; `surveys` are of the release and of the images beside it."""

    def __init__(self, job: Job, stages: report.Stages) -> None:
        self.job = job
        self.stages = stages
        self.record = Record(job)
        self.program = ""
        self.release = Release("", "", "", ())
        self.surveys: dict[str, Survey] = {}
        self.copied = 0
        self.said = ""
        self.catalogs: dict[str, str] = {}

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

    def find(self) -> None:
        job, asked = self.job, self.job.release
        with self.stages("release"):
            found, how = self.record.release(), "as mirrored before"
            if found is None:
                how = f"as {job.origin.origin} has it"
                try:
                    job.origin.ping([job.source])
                    digest = job.origin.resolve(job.source, job.tag) if job.tag else job.pinned
                    self._check_digest(digest)
                    found = payload.read(
                        job.source,
                        digest,
                        architecture=asked["architecture"],
                        repository=job.document["contentRepository"],
                        fetch=job.origin.fetch,
                    )
                    payload.check(found, version=asked.get("version"), sources=job.sources)
                    if job.media is None:
                        if job.engine == "oc":
                            found = payload.located(found, job.sources, job.network.has)
                        job.network.ping([image.origin for image in found.images])
                except TROUBLE as error:
                    raise job.unreachable(f"{asked['image']} cannot be read", error) from error
            payload.check(found, version=asked.get("version"), sources=job.sources)
            self.release = found
            how += ", copied from a mirror: nobody verifies its signature" if found.from_mirror else ""
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
        return {"release": [own, *self.release.images], "images": [self._resolved(i) for i in self.job.extra()]}

    def _resolved(self, image: Image) -> Image:
        if ":" in image.digest:
            return image
        digest = self.record.extra(image) or self.job.origin.resolve(image.source, image.digest)
        return image._replace(digest=digest)

    def _survey(self, images: list[Image], fetch: bool) -> Survey:
        return Survey(self.job.mirror, self.job.storage, images, self.job.origin.fetch if fetch else None)

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
            needed, free = sum(survey.to_copy() for survey in self.surveys.values()), job.storage.free()
            if needed and free < needed + min(needed // 20, copying.SPARE):
                raise report.Failed(
                    f"the release does not fit: {amount(needed)} are missing, {amount(free)} are free",
                    check=f"free space of {job.storage.root}",
                    in_service="what was mirrored before; nothing was copied",
                    remedy="enlarge the registry's data volume in the settings, then run the update again",
                )
            lacking = sum(len(survey.lacking) for survey in self.surveys.values())
            self.stages.detail = f"{amount(needed)} missing in {lacking} images, {amount(free)} free"

    def _copy(self, kind: str) -> None:
        survey = self.surveys[kind]
        for why in sorted({why for why in survey.lacking.values() if "missing" not in why}):
            report.say(f"  {why}: to be mirrored again")
        try:
            survey.discard()
            uploaded = survey.missing()
            said = copying.copy(self.job, kind, survey, self.release, self.program, self.stages)
            for digest in uploaded:
                self.job.storage.accept(digest)
            # Only `oc adm release mirror` verifies signatures, and says so.
            verifies = kind == "release" and self.job.engine == "oc" and not self.release.from_mirror
            self.said += said if verifies else ""
            self.copied += len(survey.lacking)
            self.surveys[kind] = self._survey(list(survey.images), fetch=True)
        except TROUBLE as error:
            raise self.job.unreachable("copying stopped", error, self.job.host) from error

    def copy(self, stage: str, kind: str) -> None:
        with self.stages(stage):
            survey = self.surveys[kind]
            lost = bool(catalogs.wanted(self.job)) and not catalogs.texts()
            due = kind == "release" and (lost or not self.record.same_image_set())
            if not survey.lacking and not due:
                there = f"nothing to copy: {len(survey.images)} images are there"
                self.stages.detail = there if survey.images else "none asked for"
                return
            size = survey.to_copy()
            self._copy(kind)
            self.stages.detail = f"{len(survey.lacking)} of {len(survey.images)} images, {amount(size)}"

    def verify(self) -> None:
        with self.stages("verify"):
            for kind, survey in list(self.surveys.items()):
                if survey.lacking:
                    report.say(f"  {names(survey.lacking)}: {next(iter(survey.lacking.values()))}; copying once more")
                    self._copy(kind)
                if self.surveys[kind].unserved and self.job.unit:
                    self._restart()
                    self.surveys[kind] = self._survey(list(survey.images), fetch=False)
                still = self.surveys[kind].lacking
                if still:
                    raise report.Failed(
                        f"the mirror is not complete: {names(still)}",
                        message="\n".join(f"{image.name}: {why}" for image, why in still.items()),
                        in_service="the images that are complete",
                        remedy=f"check the registry (dmesg, journalctl -u {self.job.unit}), then run the update again",
                    )
            try:
                self.catalogs = catalogs.found(self.job)
            except TROUBLE as error:
                raise self.job.unreachable("the operator catalogs cannot be looked at", error, self.job.host) from error
            images = sum(len(survey.images) for survey in self.surveys.values())
            self.stages.detail = f"{images} images asked for by digest, {len(self._sizes())} blobs, {self._amount()}"

    def _restart(self) -> None:
        """The registry remembers sizes of blobs, also of damaged ones; only a restart makes it forget."""
        unit = self.job.unit
        report.say(f"  what is there now is not what the registry says; restarting {unit}")
        units.must(["systemctl", "restart", unit], f"restart of {unit}", [unit], self.stages)
        try:
            self.job.mirror.ping()
        except TROUBLE as error:
            raise self.job.unreachable("the mirror registry does not come back", error, self.job.host) from error

    def _sizes(self) -> dict[str, int]:
        return {digest: size for survey in self.surveys.values() for digest, size in survey.sizes.items()}

    def _amount(self) -> str:
        return amount(sum(self._sizes().values()))

    def finish(self) -> dict[str, Any]:
        job, release = self.job, self.release
        with self.stages("signature"):
            signature = self.record.signature(release, self.said)
            kept = f"kept in {places.path(signature['file'])}" if signature["file"] else "the release has none"
            doubt = f"; THE RELEASE IS NOT VERIFIED: {signature['why']}" if signature["verified"] is False else ""
            self.stages.detail = kept + doubt
        with self.stages("record"):
            self.record.write(release, list(self.surveys["images"].images), signature)
            self.stages.detail = self.record.path
        return {
            "version": release.version,
            "digest": release.digest,
            "release": f"{job.host}/{job.document['releaseRepository']}@{release.digest}",
            "images": sum(len(survey.images) for survey in self.surveys.values()),
            "bytes": sum(self._sizes().values()),
            "copied": self.copied,
            "verified": signature["verified"],
            "signature": places.recall(places.path(signature["file"])) if signature["file"] else None,
            **({"catalogs": self.catalogs} if self.catalogs else {}),
        }


def main(arguments: list[str], document: Any) -> None:
    """Mirror the release of `document`."""
    job = Job(document)
    with files.lock("mirror", "mirror", wait=limits.MIRROR.seconds):
        run = _Run(job, report.Stages(STAGES))
        try:
            run.tools()
            run.access()
            run.find()
            run.space()
            run.copy("copy", "release")
            run.copy("images", "images")
            run.verify()
            result = run.finish()
        except OSError as error:
            # What is not of the network is of the disk, which the agent shares with the registry.
            raise job.unreachable("the mirror stopped", error, job.host) from error
    report.result(result)
