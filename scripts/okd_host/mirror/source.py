"""Where the release comes from: registries on the network.

Owns one `Registry` a host and the resolution of a tag. Removable media offers the same two methods.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from okd_host.logins import Logins
from okd_host.mirror.registry import Refused, Registry, digest_of


class Network:
    """The upstream registries."""

    def __init__(self, context: ssl.SSLContext, credentials: Logins, tries: int) -> None:
        self._context = context
        self._credentials = credentials
        self._tries = tries
        self._registries: dict[str, Registry] = {}
        self._kept: dict[tuple[str, str, str], bytes] = {}

    def _registry(self, host: str) -> Registry:
        if host not in self._registries:
            self._registries[host] = Registry(host, self._context, self._credentials, self._tries)
        return self._registries[host]

    origin = "the upstream"

    def ping(self, sources: Sequence[str]) -> None:
        """Every registry of `sources` answers."""
        for host, repository in {source.partition("/")[0]: source.partition("/")[2] for source in sources}.items():
            self._registry(host).ping(repository)

    def fetch(self, kind: str, source: str, digest: str) -> bytes:
        """A manifest or blob of `source` (registry/repository)."""
        key = (kind, source, digest)
        if key not in self._kept:
            host, _, repository = source.partition("/")
            content = self._registry(host).get(kind, repository, digest)
            if kind == "blobs":
                return content
            # Manifests are small and asked for again when the mirror is looked at after the copy.
            self._kept[key] = content
        return self._kept[key]

    def has(self, source: str, digest: str) -> bool:
        """Whether a repository holds a manifest."""
        try:
            self.fetch("manifests", source, digest)
        except Refused as error:
            # Many a registry denies what it does not have.
            if error.status in (401, 403, 404):
                return False
            raise
        return True

    def resolve(self, source: str, tag: str) -> str:
        """The digest that `tag` stands for now."""
        return digest_of(self.fetch("manifests", source, tag))
