"""Container images without a container engine: packed from a few files and pushed to a registry over HTTP.

Owns: layers (the same bytes for the same files), configurations, manifests and manifest lists of docker's schema 2.
Does not own: what is inside an image. Standard library only.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import io
import json
import ssl
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from cluster import limits

_TYPES = "application/vnd.docker."
_MANIFEST = f"{_TYPES}distribution.manifest.v2+json"
_LIST = f"{_TYPES}distribution.manifest.list.v2+json"
_CONFIG = f"{_TYPES}container.image.v1+json"
_LAYER = f"{_TYPES}image.rootfs.diff.tar.gzip"
_CREATED = "2025-01-01T00:00:00Z"

# Paths to contents: text, or a file for the large ones.
Files = Mapping[str, str | bytes | Path]


@dataclass(frozen=True)
class Image:
    """One image: its layers and its labels.

    More than one architecture makes a manifest list whose members differ by their configuration alone.
    """

    name: str
    layers: tuple[Files, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    architectures: tuple[str, ...] = ("amd64",)


class PushFailed(Exception):
    """The registry did not take something."""


class Registry:
    """A registry's HTTP interface as far as pushing goes; with `ca` over verified TLS, without it over plain HTTP."""

    def __init__(self, address: str, ca: Path | None = None, login: tuple[str, str] | None = None) -> None:
        self.address = address
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca else None
        self._headers = {}
        if login:
            self._headers["Authorization"] = f"Basic {basic(login)}"

    def push(self, repository: str, image: Image) -> str:
        """Push an image and return its digest."""
        layers = [self._layer(repository, files) for files in image.layers]
        members = []
        for architecture in image.architectures:
            body = _manifest(self._config(repository, image, architecture, layers), layers)
            platform = {"architecture": architecture, "os": "linux"}
            members.append(self._manifest(repository, body, _MANIFEST) | {"platform": platform})
        if len(members) == 1:
            return str(members[0]["digest"])
        listing = {"schemaVersion": 2, "mediaType": _LIST, "manifests": members}
        return str(self._manifest(repository, listing, _LIST)["digest"])

    def _layer(self, repository: str, files: Files) -> dict[str, Any]:
        with tempfile.TemporaryFile() as archive:
            unpacked, digest = pack(files, archive)
            size = archive.tell()
            archive.seek(0)
            self._blob(repository, digest, archive, size)
        return {"mediaType": _LAYER, "size": size, "digest": digest, "unpacked": unpacked}

    def _config(self, repository: str, image: Image, architecture: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
        document = {
            "architecture": architecture,
            "os": "linux",
            "created": _CREATED,
            "config": {"Labels": dict(image.labels)},
            "rootfs": {"type": "layers", "diff_ids": [layer["unpacked"] for layer in layers]},
            "history": [{"created": _CREATED, "created_by": f"lab.release: {image.name}"} for _ in layers],
        }
        data = json.dumps(document, sort_keys=True).encode()
        digest = _digest(data)
        self._blob(repository, digest, io.BytesIO(data), len(data))
        return {"mediaType": _CONFIG, "size": len(data), "digest": digest}

    def _blob(self, repository: str, digest: str, content: IO[bytes], size: int) -> None:
        if self._ask("HEAD", f"/v2/{repository}/blobs/{digest}", (200, 404))[0] == 200:
            return
        _, headers = self._ask("POST", f"/v2/{repository}/blobs/uploads/", (202,))
        where = urlsplit(headers["Location"])
        target = f"{where.path}?{where.query}&digest={digest}"
        length = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._ask("PUT", target, (201,), content, length)

    def _manifest(self, repository: str, document: Mapping[str, Any], kind: str) -> dict[str, Any]:
        data = json.dumps(document, sort_keys=True).encode()
        digest = _digest(data)
        self._ask("PUT", f"/v2/{repository}/manifests/{digest}", (201,), data, {"Content-Type": kind})
        return {"mediaType": kind, "size": len(data), "digest": digest}

    def _ask(
        self,
        method: str,
        path: str,
        wanted: tuple[int, ...],
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage]:
        with closing(self._connection()) as connection:
            connection.request(method, path, body, {**self._headers, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in wanted:
                raise PushFailed(
                    f"{self.address}: {method} {path}: {answer.status} {text[:300].decode(errors='replace')}"
                )
            return answer.status, answer.headers

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self.address, timeout=limits.LAB_TOOL.seconds, context=self._tls)
        return http.client.HTTPConnection(self.address, timeout=limits.LAB_TOOL.seconds)


def basic(login: tuple[str, str]) -> str:
    """Return a name and a password as HTTP and registry configurations write them."""
    return base64.b64encode(":".join(login).encode()).decode()


def pack(files: Files, to: IO[bytes]) -> tuple[str, str]:
    """Write a compressed layer and return the digests of the archive and of the compressed archive.

    Files below `bin` are executable; nothing depends on the time, the user or the order in which files are given.
    """
    packed = _Hashing(to)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as compressed:
        unpacked = _Hashing(compressed)
        with tarfile.open(fileobj=unpacked, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            for name in sorted(files):
                with _opened(files[name]) as (content, size):
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = size, 0o755 if Path(name).parent.name == "bin" else 0o644
                    archive.addfile(entry, content)
    return unpacked.digest(), packed.digest()


class _Hashing(io.RawIOBase):
    """A stream to write to that keeps the hash of what went through; closing it leaves the other one open."""

    def __init__(self, to: IO[bytes] | gzip.GzipFile) -> None:
        self._to = to
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._hash.update(data)
        return self._to.write(data)

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


@contextmanager
def _opened(content: str | bytes | Path) -> Iterator[tuple[IO[bytes], int]]:
    if isinstance(content, Path):
        with content.open("rb") as handle:
            yield handle, content.stat().st_size
    else:
        data = content.encode() if isinstance(content, str) else content
        yield io.BytesIO(data), len(data)


def _manifest(config: Mapping[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [{name: value for name, value in layer.items() if name != "unpacked"} for layer in layers]
    return {"schemaVersion": 2, "mediaType": _MANIFEST, "config": dict(config), "layers": shown}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
