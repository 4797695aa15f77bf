"""media-save: save a release to removable media, on any Linux host with a network, Python 3.9 and oc; not as root.

    PYTHONPATH=scripts python3 -m okd_host media-save < document.json

Document: {"release": {"image", "digest", "version", "architecture"}, "sources": [repositories],
"images": [references of further images], "directory": of the media, "work": null | directory with room for one copy on
a file system with links (default: DIRECTORY/.work), "partBytes": 4294967295, "oc": null | path of oc, "trust": [PEM],
"pullSecretFile": null | path of an auth.json, "attempts": 5}.

oc copies to the work directory and goes on there after an interruption; every blob is hashed while it is packed. The
checksums are written last, the work directory is removed then. `mirror` loads the media with
"media": {"directory": ...}.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

from okd_host import files, logins, report, tls
from okd_host.media import parts
from okd_host.mirror import client, payload, places, trouble
from okd_host.mirror.client import Ended, Oc
from okd_host.mirror.copying import amount, signed
from okd_host.mirror.payload import Contents, Image, Release
from okd_host.mirror.registry import Refused, concurrently
from okd_host.mirror.source import Network

STAGES = ("release", "space", "copy", "pack", "record")
REPOSITORY = "okd/release"
# The largest file that FAT32 holds.
PART_BYTES = 4 * 1024**3 - 1
NEEDED = {"release", "sources", "directory"}
TROUBLE = (Refused, OSError, HTTPException)


class _Save:
    """One run, stage by stage."""

    def __init__(self, document: dict[str, Any], stages: report.Stages) -> None:
        self.document = document
        self.stages = stages
        self.directory = os.path.abspath(document["directory"])
        self.work = os.path.abspath(document.get("work") or os.path.join(self.directory, ".work"))
        self.attempts = int(document.get("attempts") or 5)
        self.release = Release("", "", "", ())
        self.extra: list[Image] = []
        self.contents: dict[str, Contents] = {}
        auth = document.get("pullSecretFile") or os.path.join(self.work, "no-credentials.json")
        if not document.get("pullSecretFile"):
            places.remember(auth, {"auths": {}})
        try:
            with open(auth, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise report.Failed("the pull secret cannot be read", message=str(error), remedy="give its path") from error
        credentials = places.credentials(text)
        if document.get("pullSecretFile") and (found := logins.faults(text)):
            raise report.Failed(
                "the pull secret cannot be used as it is",
                file=auth,
                message="\n".join(f"{fault.harm}: {fault.fix}" for fault in found),
                remedy="correct the file",
            )
        bundle = places.bundle(document.get("trust") or [], "")
        self.network = Network(tls.trusting(files=[bundle]), credentials, self.attempts)
        program = document.get("oc") or shutil.which("oc") or ""
        if not os.access(program, os.X_OK):
            raise report.Failed("there is no oc on this host", file=program, remedy='name it in "oc", or install it')
        self.oc = Oc(program, auth, bundle, os.path.join(self.work, "home"))

    def find(self) -> None:
        asked = self.document["release"]
        with self.stages("release"):
            source, tag, digest = payload.split(asked["image"])
            pinned = asked.get("digest") or digest
            try:
                self.network.ping([source])
                found = self.network.resolve(source, tag) if tag else pinned
                if pinned and found != pinned:
                    raise report.Failed(
                        f"{asked['image']} is another release than the pinned one",
                        message=f"pinned {pinned}\nfound  {found}",
                        remedy="find out why the tag moved; then pin the digest that you want",
                    )
                self.release = payload.read(
                    source,
                    found,
                    architecture=asked.get("architecture") or "x86_64",
                    repository=REPOSITORY,
                    fetch=self.network.fetch,
                )
                payload.check(self.release, version=asked.get("version"), sources=self.document["sources"])
                self.extra = [self._further(reference) for reference in self.document.get("images") or []]
                images = [Image("release", found, source, REPOSITORY), *self.release.images, *self.extra]
                for image, contents in zip(images, concurrently(self._contents, images)):
                    self.contents[image.digest] = contents
            except TROUBLE as error:
                host = error.host if isinstance(error, (Refused, trouble.Unreached)) else source.partition("/")[0]
                raise trouble.failed(f"{asked['image']} cannot be read", str(error), host) from error
            self.stages.detail = f"{self.release.version}, {len(images)} images, {amount(self._total())}"

    def _further(self, reference: str) -> Image:
        source, tag, digest = payload.split(reference)
        return Image(reference, digest or self.network.resolve(source, tag or "latest"), source, REPOSITORY)

    def _contents(self, image: Image) -> Contents:
        return payload.contents(image.digest, lambda digest: self.network.fetch("manifests", image.source, digest))

    def _blobs(self) -> dict[str, int]:
        return {digest: size for contents in self.contents.values() for digest, size in contents.sizes.items()}

    def _total(self) -> int:
        return sum(self._blobs().values())

    def _place(self, digest: str) -> str:
        return os.path.join(self.work, "v2", REPOSITORY, "blobs", digest)

    def _have(self) -> int:
        return sum(size for digest, size in self._blobs().items() if os.path.exists(self._place(digest)))

    def space(self) -> None:
        with self.stages("space"):
            needed = {self.directory: self._total(), self.work: self._total() - self._have()}
            if os.stat(self.directory).st_dev == os.stat(self.work).st_dev:
                needed = {self.directory: sum(needed.values())}
            for place, wanted in needed.items():
                found = os.statvfs(place)
                # Parts of a run before are written over.
                free = found.f_bavail * found.f_frsize + sum(
                    entry.stat().st_size for entry in os.scandir(place) if entry.name.startswith(parts.PART)
                )
                if free < wanted:
                    raise report.Failed(
                        f"the release does not fit: {amount(wanted)} are needed, {amount(free)} are free",
                        check=f"free space of {place}",
                        remedy='make room there, or give another "directory" or "work"',
                    )
            self.stages.detail = f"{amount(self._total())} in one copy to work with and one in parts"

    def copy(self) -> None:
        with self.stages("copy"):
            to = [f"--registry-config={self.oc.auth}", "--keep-manifest-list=true"]
            origin = f"{self.release.source}@{self.release.digest}"
            release = [self.oc.program, "adm", "release", "mirror", *to, f"--from={origin}", f"--to-dir={self.work}"]
            release += [f"--to=file://{REPOSITORY}", "--print-mirror-instructions=none"]
            release += [f"--release-image-signature-to-dir={os.path.join(self.work, 'signatures')}"]
            self._run(release)
            if self.extra:
                pairs = [f"{i.source}@{i.digest}=file://{REPOSITORY}:sha256-{i.digest[7:19]}" for i in self.extra]
                self._run([self.oc.program, "image", "mirror", *to, f"--dir={self.work}", *pairs])
            self.stages.detail = f"{amount(self._have())} in {self.work}"

    def _run(self, argv: list[str]) -> None:
        def progress() -> None:
            report.say(f"  {amount(self._have())} of {amount(self._total())} ({self.stages.elapsed:.0f} s)")

        def once(failures: int) -> Ended:
            fewer = [f"--max-per-registry={max(6 // 3**failures, 1)}"] if failures else []
            return signed(client.run([*argv, *fewer], self.oc.environment(), progress))

        known = [image.source for image in (*self.release.images, *self.extra)]
        client.patiently(
            once,
            self._have,
            self.attempts,
            what="the release cannot be saved",
            diagnose=lambda text: (trouble.recognise(text), trouble.host_in(text, [self.release.source, *known])),
        )

    def _entries(self) -> Iterator[tuple[str, str, bytes]]:
        """What goes into the archive: name, and a path or the content itself."""
        seen = set()
        for contents in self.contents.values():
            for digest, content in contents.manifests.items():
                if digest not in seen:
                    seen.add(digest)
                    yield f"manifests/{digest}", "", content or b""
        folder = os.path.join(self.work, "signatures")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            yield f"signatures/{name}", os.path.join(folder, name), b""
        for digest in sorted(self._blobs()):
            yield f"blobs/{digest}", self._place(digest), b""

    def pack(self) -> list[dict[str, Any]]:
        with self.stages("pack"):
            for name in os.listdir(self.directory):
                if name.startswith(parts.PART) or name in (parts.SUMS, parts.INDEX):
                    os.unlink(os.path.join(self.directory, name))
            raw = parts.Writer(self.directory, int(self.document.get("partBytes") or PART_BYTES))
            with raw, tarfile.open(fileobj=raw, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
                for name, path, content in self._entries():
                    self._add(archive, name, path, content)
            self.stages.detail = f"{len(raw.rows)} parts, {amount(sum(row['size'] for row in raw.rows))}"
            return raw.rows

    def _add(self, archive: tarfile.TarFile, name: str, path: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        try:
            info.size = os.path.getsize(path) if path else len(content)
            with open(path, "rb") if path else io.BytesIO(content) as file:
                reader = parts.Summed(file)
                archive.addfile(info, reader)
        except OSError as error:
            raise trouble.failed(f"{name} cannot be packed", str(error), path or name) from error
        if name.startswith("blobs/") and f"blobs/sha256:{reader.summed.hexdigest()}" != name:
            os.unlink(path)
            raise report.Failed(
                f"{name} in {self.work} is not what its digest says",
                file=path,
                remedy="it was removed: run media-save again, it is fetched again; check the disk if it stays",
            )

    def record(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        with self.stages("record"):
            known = {"image": self.document["release"]["image"], "digest": self.release.digest}
            index = {
                **known,
                "version": self.release.version,
                "architecture": self.document["release"].get("architecture") or "x86_64",
                "sources": self.document["sources"],
                "extra": [{"image": image.name, "digest": image.digest} for image in self.extra],
                "parts": rows,
            }
            parts.write_index(self.directory, index)
            shutil.rmtree(self.work)
            self.stages.detail = os.path.join(self.directory, parts.SUMS)
        return {**known, "version": self.release.version, "parts": len(rows), "bytes": sum(r["size"] for r in rows)}


def main(arguments: list[str], document: Any) -> None:
    """Save the release of `document`."""
    absent = sorted(NEEDED - set(document))
    if absent:
        raise report.Failed(f"the document lacks {', '.join(absent)}", remedy="see `okd_host media-save --help`")
    directory = os.path.abspath(document["directory"])
    work = os.path.abspath(document.get("work") or os.path.join(directory, ".work"))
    os.makedirs(work, mode=0o700, exist_ok=True)
    # Nothing of this host but the two directories is touched.
    places.RELEASE, files.LOCKS = work, os.path.join(work, "lock")
    with files.lock("media-save", "media-save"):
        save = _Save(document, report.Stages(STAGES))
        save.find()
        save.space()
        save.copy()
        result = save.record(save.pack())
    report.result(result)
