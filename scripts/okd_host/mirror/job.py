"""What one run of `mirror` is asked to do, and with whom it talks.

Owns reading the document and the connections made from it. Does not own the order of the stages.
"""

from __future__ import annotations

from functools import cached_property
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from okd_host import files, report, tls
from okd_host.mirror import places, trouble
from okd_host.mirror.payload import Image, split
from okd_host.mirror.registry import Refused, Registry
from okd_host.mirror.source import Network
from okd_host.mirror.storage import Storage

if TYPE_CHECKING:
    from okd_host.media.load import Media

NEEDED = {"release", "sources", "registry", "releaseRepository", "contentRepository", "archive", "registryCa"}
NEEDED |= {"storage", "pullSecret"}
# The registry answers 500 when it cannot write; only its disk says why.
LITTLE = 64 * 1024 * 1024


class Job:
    """The document, and what belongs to it."""

    def __init__(self, document: Any) -> None:
        absent = sorted(NEEDED - set(document)) if isinstance(document, dict) else sorted(NEEDED)
        if absent:
            raise report.Failed(f"the document lacks {', '.join(absent)}", remedy="see `okd-host mirror --help`")
        self.document: dict[str, Any] = document
        self.release: dict[str, Any] = document["release"]
        self.sources: list[str] = document["sources"]
        self.host: str = document["registry"]
        self.attempts = int(document.get("attempts") or 5)
        self.engine: str = document.get("engine") or "oc"
        if self.engine not in ("oc", "oc-mirror"):
            raise report.Failed(f"unknown engine {self.engine!r}", remedy="set release.engine to oc or oc-mirror")
        self.source, self.tag, digest = split(self.release["image"])
        self.pinned: str = self.release.get("digest") or digest
        # The download of the archive made it for everybody.
        files.private_directory(places.RELEASE)
        self.auth, text = places.secret(document["pullSecret"])
        self.credentials = places.credentials(text)
        self.storage = Storage(document["storage"])

    @cached_property
    def media(self) -> Media | None:
        """The removable media, if that is where the release comes from."""
        directory = (self.document.get("media") or {}).get("directory")
        if not directory:
            return None
        from okd_host.media.load import Media

        return Media(directory)

    @property
    def origin(self) -> Media | Network:
        """Where the release comes from."""
        return self.media or self.network

    @property
    def unit(self) -> str:
        """The registry's unit."""
        return str((self.document.get("units") or {}).get("registry", ""))

    def extra(self) -> list[Image]:
        """The images to mirror beside the release; a tag stands where a digest is not given yet."""
        rows = []
        for row in self.document.get("images") or []:
            place, tag, digest = split(row["source"])
            rows.append(Image(row["source"], digest or tag or "latest", place, row["repository"]))
        return rows

    @cached_property
    def mirror(self) -> Registry:
        """The mirror registry; only the stack's own CA vouches for it."""
        try:
            context = tls.trusting(files=[self.document["registryCa"]])
        except OSError as error:
            raise report.Failed(
                "the CA of the mirror registry cannot be read",
                file=self.document["registryCa"],
                message=str(error),
                remedy="run the update: it delivers the registry with its CA first",
            ) from error
        return Registry(self.host, context, self.credentials)

    @cached_property
    def bundle(self) -> str:
        """The file with everything that is trusted."""
        return places.bundle(self.document.get("trust") or [], self.document["registryCa"])

    @cached_property
    def network(self) -> Network:
        """The upstream registries."""
        return Network(tls.trusting(files=[self.bundle]), self.credentials, self.attempts)

    def unreachable(self, what: str, error: BaseException, host: str = "") -> report.Failed:
        """The failure to raise when asking a registry failed."""
        if isinstance(error, Refused):
            # A digest in the text may hold any number.
            kind = {401: "password", 403: "password", 404: "unknown", 429: "rate", 0: "content"}.get(error.status)
            full = error.host == self.host and error.status >= 500 and self.storage.free() < LITTLE
            kind = "full" if full else kind
            found = trouble.named(kind) if kind else None
            return trouble.failed(what, str(error), error.host, trouble=found)
        assert isinstance(error, (OSError, HTTPException))
        if isinstance(error, trouble.Unreached):
            return trouble.failed(what, str(error), error.host)
        return trouble.failed(what, f"{type(error).__name__}: {error}", host or self.source.partition("/")[0])
