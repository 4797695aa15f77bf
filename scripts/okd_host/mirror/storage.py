"""The registry's storage, seen from its disk.

Owns distribution's layout: which blobs are whole, which repository has them, what a killed upload left. A blob's
content is hashed once; size, time and inode say whether it is still the same file. Does not own what should be there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress

from okd_host import files
from okd_host.mirror import places

CHUNK = 1024 * 1024
STALE = 60.0
LAYERS = "_layers"
REVISIONS = "_manifests/revisions"


class Storage:
    """The storage below `root`, with a memory of the contents that were right."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._base = os.path.join(root, "docker/registry/v2")
        self._memory = places.path("verified.json")
        self._known: dict[str, list[int]] = places.recall(self._memory)
        self._accepted: set[str] = set()
        self._changed = False

    def data(self, digest: str) -> str:
        """The file with a blob's content."""
        kind, _, name = digest.partition(":")
        return os.path.join(self._base, "blobs", kind, name[:2], name, "data")

    def link(self, repository: str, what: str, digest: str) -> str:
        """The file that gives `repository` a blob; `what` is `LAYERS` or `REVISIONS`."""
        return os.path.join(self._base, "repositories", repository, what, digest.replace(":", "/"), "link")

    def linked(self, repository: str, what: str, digest: str) -> bool:
        """Whether `repository` has the blob."""
        try:
            with open(self.link(repository, what, digest), encoding="ascii") as file:
                return file.read().strip() == digest
        except (OSError, ValueError):
            return False

    def size(self, digest: str) -> int:
        """The size of a blob's content; -1 when there is none."""
        try:
            return os.path.getsize(self.data(digest))
        except OSError:
            return -1

    def known(self, digest: str) -> bool:
        """Whether the content was found right before, and is the same file since."""
        try:
            found = os.stat(self.data(digest))
        except OSError:
            return False
        return self._known.get(digest) == [found.st_size, found.st_mtime_ns, found.st_ino]

    def right(self, digest: str) -> bool:
        """Whether the content is what the digest says; read only when that is not known."""
        if self.known(digest):
            return True
        summed = hashlib.sha256()
        try:
            with open(self.data(digest), "rb") as file:
                found = os.fstat(file.fileno())
                if digest in self._accepted:
                    return self._remember(digest, found)
                while block := file.read(CHUNK):
                    summed.update(block)
        except OSError:
            return False
        if f"sha256:{summed.hexdigest()}" != digest:
            return False
        return self._remember(digest, found)

    def _remember(self, digest: str, found: os.stat_result) -> bool:
        self._known[digest] = [found.st_size, found.st_mtime_ns, found.st_ino]
        self._changed = True
        return True

    def accept(self, digest: str) -> None:
        """Take the content for right: the registry has hashed it when it was uploaded, just now."""
        self._accepted.add(digest)

    def save(self) -> None:
        """Keep what is known for the next run."""
        if self._changed:
            places.remember(self._memory, self._known)
            self._changed = False

    def unlink(self, repository: str, what: str, digest: str) -> None:
        """Take a blob away from a repository."""
        with suppress(FileNotFoundError):
            os.unlink(self.link(repository, what, digest))

    def remove(self, digest: str) -> None:
        """Take a blob's content away; the registry has forgotten it before."""
        with suppress(FileNotFoundError):
            os.unlink(self.data(digest))
        self._accepted.discard(digest)
        self._known.pop(digest, None)
        self._changed = True

    def replace(self, digest: str, content: bytes) -> None:
        """Write a blob's content anew: the registry takes no manifest that it believes to have."""
        place = self.data(digest)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        owner = os.stat(os.path.dirname(place))
        files.write_now(place, content, uid=owner.st_uid, gid=owner.st_gid)
        self._accepted.discard(digest)
        self._known.pop(digest, None)

    def uploading(self, repositories: set[str]) -> int:
        """Bytes of uploads that are not finished."""
        total = 0
        for repository in repositories:
            folder = os.path.join(self._base, "repositories", repository, "_uploads")
            with suppress(OSError):
                for entry in os.listdir(folder):
                    with suppress(OSError):
                        total += os.path.getsize(os.path.join(folder, entry, "data"))
        return total

    def settle(self, repositories: set[str]) -> None:
        """Wait, for some seconds at most, until the registry is done with what a killed run had sent."""
        before = -1
        for _ in range(20):
            now = self.uploading(repositories)
            if now in (0, before):
                return
            before = now
            time.sleep(0.5)

    def clear_uploads(self, repositories: set[str]) -> int:
        """Remove what killed uploads left, once nothing has been written to it for a minute; how many."""
        cleared = 0
        for repository in repositories:
            folder = os.path.join(self._base, "repositories", repository, "_uploads")
            names = os.listdir(folder) if os.path.isdir(folder) else []
            for place in (os.path.join(folder, name) for name in names):
                data = os.path.join(place, "data")
                with suppress(OSError):
                    if time.time() - os.path.getmtime(data if os.path.exists(data) else place) > STALE:
                        shutil.rmtree(place)
                        cleared += 1
        return cleared

    def free(self) -> int:
        """Bytes that the registry may still write."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize
