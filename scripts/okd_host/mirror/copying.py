"""Copying what is missing: the engine's arguments, progress while it works, what its messages mean.

Owns `oc adm release mirror` and `oc image mirror`, and the choice of the engine: oc, oc-mirror, or removable media.
Does not own what is missing: a survey says that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from okd_host import report
from okd_host.mirror import client, oc_mirror, places, record, trouble
from okd_host.mirror.client import Ended, Oc
from okd_host.mirror.job import Job
from okd_host.mirror.payload import Image, Release, split
from okd_host.mirror.survey import Survey

# oc uploads blobs below this size without asking whether they can be mounted.
SMALL = 16384
SPARE = 64 * 1024 * 1024
UNSIGNED = ("failed to retrieve cached signatures", "no cached signatures for digest")
AT_SOURCE = r"retrieve (source|release)|retrieve blob|source image|source layer|open source"


def amount(number: float) -> str:
    """Bytes for a reader."""
    return f"{number / 1e9:.2f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"


def release_argv(oc: Oc, job: Job, release: Release) -> list[str]:
    """`oc adm release mirror`; credentials are in a file."""
    return [
        oc.program,
        "adm",
        "release",
        "mirror",
        f"--registry-config={oc.auth}",
        f"--from={release.source}@{release.digest}",
        f"--to={job.host}/{job.document['contentRepository']}",
        f"--to-release-image={job.host}/{job.document['releaseRepository']}:{release.version}",
        "--keep-manifest-list=true",
        "--print-mirror-instructions=none",
        f"--release-image-signature-to-dir={places.path(record.SIGNATURES)}",
    ]


def images_argv(oc: Oc, job: Job, images: list[Image], version: str = "") -> list[str]:
    """`oc image mirror` for images beside the release; by digest, so that what is copied is what is verified.

    With a `version`, for the release itself, in a mirror: `oc adm release mirror` would ask for it at its origin.
    """
    tags = {image: (_release_tag(image, version) if version else tag_of(image)) for image in images}
    pairs = [f"{image.origin}@{image.digest}={job.host}/{image.repository}:{tags[image]}" for image in images]
    return [oc.program, "image", "mirror", f"--registry-config={oc.auth}", "--keep-manifest-list=true", *pairs]


def tag_of(image: Image) -> str:
    """The tag of an image beside the release in the mirror: its own, or one made of its digest."""
    return split(image.name)[1] or f"sha256-{image.digest.partition(':')[2][:12]}"


def _release_tag(image: Image, version: str) -> str:
    return version if image.name == "release" else f"{version}-{image.name}"


class Progress:
    """Lines such as `images 12 of 190, 1.20 GB of 11.80 GB (10 %), 45.0 MB/s`, from the registry's storage."""

    def __init__(self, survey: Survey, stages: report.Stages) -> None:
        self.survey = survey
        self.stages = stages
        self.started = time.monotonic()
        self.before = survey.present()[1]

    def say(self) -> None:
        """Print how far it is."""
        images, have = self.survey.present()
        rate = (have - self.before) / max(time.monotonic() - self.started, 0.001)
        total = self.survey.total
        report.say(
            f"  images {images} of {len(self.survey.images)}, {amount(have)} of {amount(total)}"
            f" ({100 * have // max(total, 1)} %), {rate / 1e6:.1f} MB/s ({self.stages.elapsed:.0f} s)"
        )


def copy(job: Job, kind: str, survey: Survey, release: Release, program: str, stages: report.Stages) -> str:
    """Copy what `survey` lacks (`kind` is `release` or `images`); what the engine said. Raises Failed."""
    job.storage.settle(survey.repositories)
    job.storage.clear_uploads(survey.repositories)
    progress = Progress(survey, stages)
    what = "the release cannot be mirrored" if kind == "release" else "the additional images cannot be mirrored"
    if job.media:
        from okd_host.media import load

        load.push(survey, job.media, release, job.release["architecture"], job.attempts, progress)
        job.media.signatures(places.path(record.SIGNATURES))
        return ""
    oc = Oc(program, job.auth, job.bundle, places.path("home"))
    more: dict[str, str] = {}
    if job.engine == "oc-mirror":
        argv, more = oc_mirror.prepare(job, release)
    else:
        whole = kind == "release" and not release.from_mirror
        version = release.version if kind == "release" else ""
        argv = release_argv(oc, job, release) if whole else images_argv(oc, job, list(survey.lacking), version)

    def once(failures: int) -> Ended:
        if job.engine == "oc-mirror":
            # It mounts and goes on by itself; what it mirrors beside the release is not known here.
            return client.run(argv, oc.environment(more), progress.say)
        survey.share(SMALL)
        # Its first step fails as a whole with any of its connections: the fewer, the better on a bad network.
        fewer = [f"--max-per-registry={max(6 // 3**failures, 1)}"] if failures else []
        return signed(client.run([*argv, *fewer], oc.environment(), progress.say))

    ended = client.patiently(
        once, lambda: survey.present()[1], job.attempts, what=what, diagnose=diagnosis(job, survey)
    )
    progress.say()
    return ended.output


def signed(ended: Ended) -> Ended:
    """A release without a signature is copied all the same; oc says so once everything is there, and fails."""
    unsigned = any(words in ended.output for words in UNSIGNED) and "\nSuccess\n" in f"\n{ended.output}"
    return Ended(0, ended.output) if ended.code and unsigned else ended


def diagnosis(job: Job, survey: Survey) -> Callable[[str], tuple[trouble.Trouble, str]]:
    """Tells what a message means, and at which registry."""

    def diagnose(message: str) -> tuple[trouble.Trouble, str]:
        # The registry answers 500 when it cannot write; only its disk says why.
        if job.storage.free() < min(survey.to_copy(), SPARE):
            return trouble.named("full"), job.host
        found = trouble.recognise(message)
        pushing = job.host in message and not re.search(AT_SOURCE, message)
        # The mirror refuses what the upstream has sent.
        if pushing and found.kind != "content":
            return found, job.host
        return found, trouble.host_in(message, [job.source, *(image.origin for image in survey.images)], job.host)

    return diagnose
