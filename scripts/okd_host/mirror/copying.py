"""Copying with oc: its arguments, progress while it works, what its messages mean.

Owns `oc adm release mirror` and `oc image mirror`. Does not own what is missing: a survey says that.
"""

from __future__ import annotations

import re
import time

from okd_host import report
from okd_host.mirror import client, places, trouble
from okd_host.mirror.client import Ended, Oc
from okd_host.mirror.job import Job
from okd_host.mirror.payload import Image, Release
from okd_host.mirror.survey import Survey

# oc uploads blobs below this size without asking whether they can be mounted.
SMALL = 16384
SPARE = 64 * 1024 * 1024
GB = 1e9
SIGNATURES = "signatures"
UNSIGNED = ("failed to retrieve cached signatures", "no cached signatures for digest")
AT_SOURCE = r"retrieve (source|release)|retrieve blob|source image|source layer|open source"


def amount(number: float) -> str:
    """Bytes for a reader."""
    return f"{number / GB:.2f} GB" if number >= GB / 10 else f"{number / 1e6:.1f} MB"


def release_argv(oc: Oc, job: Job, release: Release, origin: str, more: tuple[str, ...] = ()) -> list[str]:
    """`oc adm release mirror` from the image `origin`; credentials are in a file."""
    return [
        oc.program,
        "adm",
        "release",
        "mirror",
        f"--registry-config={oc.auth}",
        f"--from={origin}",
        f"--to={job.host}/{job.document['contentRepository']}",
        f"--to-release-image={job.host}/{job.document['releaseRepository']}:{release.version}",
        "--keep-manifest-list=true",
        "--print-mirror-instructions=none",
        f"--release-image-signature-to-dir={places.path(SIGNATURES)}",
        *more,
    ]


def images_argv(oc: Oc, job: Job, images: list[Image], more: tuple[str, ...] = ()) -> list[str]:
    """`oc image mirror` for images beside the release; by digest, so that what is copied is what is verified."""
    pairs = [f"{image.source}@{image.digest}={job.host}/{image.repository}:{tag_of(image)}" for image in images]
    return [
        oc.program,
        "image",
        "mirror",
        f"--registry-config={oc.auth}",
        "--keep-manifest-list=true",
        *more,
        *pairs,
    ]


def tag_of(image: Image) -> str:
    """The tag of an image beside the release in the mirror: its own, or one made of its digest."""
    from okd_host.mirror.payload import split

    return split(image.name)[1] or f"sha256-{image.digest.partition(':')[2][:12]}"


class Progress:
    """Lines such as `images 12 of 190, 1.20 of 11.80 GB, 45.0 MB/s`, from the registry's storage."""

    def __init__(self, survey: Survey, stages: report.Stages) -> None:
        self.survey = survey
        self.stages = stages
        self.started = time.monotonic()
        self.before = survey.present()[1]

    def line(self) -> str:
        """How far it is."""
        images, have = self.survey.present()
        rate = (have - self.before) / max(time.monotonic() - self.started, 0.001)
        total = self.survey.total
        return (
            f"images {images} of {len(self.survey.images)}, {amount(have)} of {amount(total)}"
            f" ({100 * have // max(total, 1)} %), {rate / 1e6:.1f} MB/s"
        )

    def say(self) -> None:
        """Print it."""
        report.say(f"  {self.line()} ({self.stages.elapsed:.0f} s)")


class Copy:
    """One list of images on its way; `argv` starts the program that copies."""

    def __init__(self, job: Job, survey: Survey, stages: report.Stages) -> None:
        self.job = job
        self.survey = survey
        self.progress = Progress(survey, stages)
        self.unsigned = ""
        self.said = ""

    def _diagnose(self, message: str) -> tuple[trouble.Trouble, str]:
        host = self.job.source.partition("/")[0]
        pushing = self.job.host in message and not re.search(AT_SOURCE, message)
        # The registry answers 500 when it cannot write; only its disk says why.
        if self.job.storage.free() < min(self.survey.to_copy(), SPARE):
            return next(one for one in trouble.MANY if one.kind == "full"), self.job.host
        found = trouble.recognise(message)
        # The mirror refuses what the upstream has sent.
        return found, self.job.host if pushing and found.kind != "content" else host

    def _gained(self) -> int:
        return sum(self.survey.sizes[d] for d in self.survey.sizes if self.job.storage.size(d) >= 0)

    def run(self, oc: Oc, argv: list[str], what: str) -> None:
        """Copy, as often as it takes. Raises Failed."""

        def once(failures: int) -> Ended:
            self.survey.share(SMALL)
            # Its first step fails as a whole with any of its connections: the fewer, the better on a bad network.
            fewer = [f"--max-per-registry={max(6 // 3**failures, 1)}"] if failures else []
            ended = client.run([*argv, *fewer], oc.environment(), self.progress.say)
            self.said = ended.output
            missing = next((line for line in ended.output.splitlines() if any(u in line for u in UNSIGNED)), "")
            # It says so once everything is copied.
            if ended.code and missing and "\nSuccess\n" in f"\n{ended.output}":
                self.unsigned = missing.partition("error: ")[2] or missing
                return Ended(0, ended.output)
            return ended

        client.patiently(once, self._gained, self.job.attempts, what=what, diagnose=self._diagnose)
        self.progress.say()
