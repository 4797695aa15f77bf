"""What the mirror has of a list of images, asked of the registry and of its storage.

Owns the comparison: every manifest is asked of the registry by digest, every blob must be linked in its repository,
have its size and its content. Owns taking damaged things away as well. Does not own copying.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from okd_host.mirror.payload import Fetch, Image, contents
from okd_host.mirror.registry import Refused, Registry, concurrently, digest_of
from okd_host.mirror.storage import LAYERS, REVISIONS, Storage

DISK_WORKERS = 2


class Survey:
    """The state of `images`: sizes of all their blobs, and which images lack something or are damaged."""

    def __init__(self, mirror: Registry, storage: Storage, images: Sequence[Image], fetch: Fetch | None) -> None:
        """`fetch` reads from the source what the mirror does not have; None when it cannot be reached."""
        self.mirror = mirror
        self.storage = storage
        self.images = images
        self.repositories = {image.repository for image in images}
        self.sizes: dict[str, int] = {}
        self.blobs: dict[Image, set[str]] = {image: set() for image in images}
        self.manifests: dict[Image, dict[str, bytes | None]] = {}
        self.lacking: dict[Image, str] = {}
        self.damaged: set[str] = set()
        # Right in the storage, and yet the registry says something else.
        self.unserved: set[str] = set()
        self._fetch = fetch
        for _ in concurrently(self._image, images):
            pass
        self._check_blobs()
        storage.save()

    def _image(self, image: Image) -> None:
        found = contents(image.digest, lambda digest: self._manifest(image, digest))
        self.manifests[image] = found.manifests
        self.blobs[image] = set(found.sizes)
        self.sizes.update(found.sizes)

    def _manifest(self, image: Image, digest: str) -> bytes | None:
        """A manifest from the mirror; from the source when the mirror lacks it."""
        if self.storage.linked(image.repository, REVISIONS, digest):
            path = f"/v2/{image.repository}/manifests/{digest}"
            answer = self.mirror.ask("GET", path, image.repository)
            if answer.status == 200 and digest_of(answer.body) == digest and self.storage.right(digest):
                return answer.body
            if answer.status in (401, 403):
                raise Refused(self.mirror.host, answer.status, f"https://{self.mirror.host}{path}: {answer.status}")
            self._damage(digest, image, f"manifest {digest} is damaged (HTTP {answer.status})")
        else:
            self.lacking.setdefault(image, f"manifest {digest} is missing")
        return self._fetch("manifests", image.origin, digest) if self._fetch else None

    def _damage(self, digest: str, image: Image, why: str) -> None:
        self.damaged.add(digest)
        self.lacking[image] = why

    def _check_blobs(self) -> None:
        fresh = {digest for digest in self.sizes if not self.storage.known(digest)}
        present = sorted(digest for digest in fresh if self.storage.size(digest) >= 0)
        right = dict(zip(present, concurrently(self.storage.right, present, DISK_WORKERS)))
        asked: set[tuple[str, str]] = set()
        for image, digests in self.blobs.items():
            for digest in digests:
                size = self.storage.size(digest)
                linked = self.storage.linked(image.repository, LAYERS, digest)
                if size < 0 and linked:
                    self._damage(digest, image, f"the content of blob {digest} is gone")
                elif size < 0 or not linked:
                    self.lacking.setdefault(image, f"blob {digest} is missing")
                elif not right.get(digest, True) or size != self.sizes[digest]:
                    self._damage(digest, image, f"blob {digest} is damaged: its content is not what its digest says")
                elif digest in fresh:
                    asked.add((image.repository, digest))
        for (repository, digest), found in zip(
            sorted(asked), concurrently(lambda pair: self.mirror.has(*pair, self.sizes[pair[1]]), sorted(asked))
        ):
            if not found:
                self.unserved.add(digest)
            for image in self.images if not found else ():
                if image.repository == repository and digest in self.blobs[image]:
                    self._damage(digest, image, f"the registry does not serve blob {digest}")

    @property
    def total(self) -> int:
        """Bytes of all blobs."""
        return sum(self.sizes.values())

    def missing(self) -> list[str]:
        """Blobs whose content is not in the storage, or is damaged."""
        return [digest for digest in self.sizes if digest in self.damaged or self.storage.size(digest) < 0]

    def to_copy(self) -> int:
        """Bytes to copy."""
        return sum(self.sizes[digest] for digest in self.missing())

    def present(self) -> tuple[int, int]:
        """Images whose blobs are all there, and bytes that are there, by the storage as it is now."""
        have = {digest for digest in self.sizes if self.storage.size(digest) >= 0}
        done = sum(1 for digests in self.blobs.values() if digests <= have)
        partly = self.storage.uploading(self.repositories)
        return done, min(sum(self.sizes[digest] for digest in have) + partly, self.total)

    def discard(self) -> None:
        """Mend damaged manifests; take away damaged blobs, and the manifests over blobs that are missing.

        oc copies no blob of an image whose manifest it finds.
        """
        for image in self.lacking:
            for digest, content in self.manifests[image].items():
                if digest in self.damaged and content:
                    self.storage.replace(digest, content)
            self._forget("manifests", image.repository, image.digest)
            for digest in self.damaged & self.blobs[image]:
                # First of all: the registry would remember the size of what it forgets.
                self.storage.remove(digest)
                for repository in self.repositories:
                    self._forget("blobs", repository, digest)
        self.storage.save()

    def _forget(self, kind: str, repository: str, digest: str) -> None:
        """The registry, and what it remembers, loses a manifest or a blob of a repository."""
        what = REVISIONS if kind == "manifests" else LAYERS
        if self.storage.linked(repository, what, digest):
            self.mirror.delete(kind, repository, digest)
            self.storage.unlink(repository, what, digest)

    def share(self, small: int) -> None:
        """Give every repository the blobs that another one has.

        oc uploads a blob below `small` bytes to each repository, and after a restart it no longer knows which
        repository to mount a blob from: both would transfer the same content twice.
        """
        wanted: dict[str, set[str]] = {}
        origin: dict[str, str] = {}
        for image, digests in self.blobs.items():
            for digest in digests:
                wanted.setdefault(digest, set()).add(image.repository)
                origin.setdefault(digest, image.origin)
        for digest, repositories in wanted.items():
            if len(repositories) < 2:
                continue
            have = {name for name in repositories if self.storage.linked(name, LAYERS, digest)}
            if not have and self.sizes[digest] < small and self._fetch:
                first = sorted(repositories)[0]
                content = self._fetch("blobs", origin[digest], digest)
                self.mirror.put(first, digest, content, len(content))
                have = {first}
            for repository in sorted(repositories - have) if have else ():
                self.mirror.mount(repository, digest, sorted(have)[0])


def names(images: Iterable[Image]) -> str:
    """The names of some images for a reader."""
    listed = [image.name for image in images]
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
