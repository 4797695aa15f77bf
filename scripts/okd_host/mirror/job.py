"""What one run of `mirror` is asked to do, and with whom it talks.

Owns reading the document and the connections made from it. Does not own the order of the stages.
"""

from __future__ import annotations

import ssl
from functools import cached_property
from http.client import HTTPException
from typing import Any

from okd_host import files, report
from okd_host.mirror import places, trouble
from okd_host.mirror.client import Oc
from okd_host.mirror.payload import Image, split
from okd_host.mirror.registry import Refused, Registry
from okd_host.mirror.source import Network
from okd_host.mirror.storage import Storage

NEEDED = {"release", "sources", "registry", "releaseRepository", "contentRepository", "archive", "registryCa"}
NEEDED |= {"storage", "pullSecret"}


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

    @property
    def media(self) -> str:
        """The directory of the removable media, if that is where the release comes from."""
        return str((self.document.get("media") or {}).get("directory", ""))

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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(self.document["registryCa"])
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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.bundle)
        return Network(context, self.credentials, self.attempts)

    def oc(self, program: str) -> Oc:
        """How to start oc."""
        return Oc(program, self.auth, self.bundle)

    def unreachable(self, what: str, error: BaseException, host: str = "") -> report.Failed:
        """The failure to raise when asking a registry failed."""
        if isinstance(error, Refused):
            # The number is at the end of an address that may hold others.
            found = {401: "password", 403: "password", 404: "unknown", 429: "rate", 0: "content"}.get(error.status, "")
            kind = next((one for one in trouble.MANY if one.kind == found), None)
            return trouble.failed(what, str(error), error.host, trouble=kind)
        assert isinstance(error, (OSError, HTTPException))
        return trouble.failed(what, f"{type(error).__name__}: {error}", host or self.source.partition("/")[0])
