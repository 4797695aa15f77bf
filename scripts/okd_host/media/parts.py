"""The form of a release on removable media: one tar archive cut into parts, an index, a list of checksums.

Owns cutting while writing, reading across the cuts, and naming the file that is missing, cut short or altered. In the
archive are `manifests/DIGEST`, `blobs/DIGEST` and `signatures/NAME`, each once. `sha256sum -c SHA256SUMS` checks it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from okd_host import report

INDEX = "index.json"
SUMS = "SHA256SUMS"
PART = "okd-release.tar"
CHUNK = 1024 * 1024
REMEDY = "copy the file from the connected host again, or save the media again with `media-save`"


class Writer(io.RawIOBase):
    """The archive being written: a new part after every `size` bytes; `rows` are name, size and SHA-256 of each."""

    def __init__(self, directory: str, size: int) -> None:
        self.directory = directory
        self.size = size
        self.rows: list[dict[str, Any]] = []
        self._file: Any = None
        self._summed = hashlib.sha256()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Write all of `content`, in as many parts as it takes."""
        view = memoryview(content)
        written = 0
        while written < len(view):
            if self._file is None:
                self.rows.append({"name": f"{PART}.{len(self.rows):03d}", "size": 0, "sha256": ""})
                self._file = open(os.path.join(self.directory, self.rows[-1]["name"]), "wb")  # noqa: SIM115
                self._summed = hashlib.sha256()
            piece = view[written : written + self.size - self.rows[-1]["size"]]
            self._file.write(piece)
            self._summed.update(piece)
            self.rows[-1]["size"] += len(piece)
            written += len(piece)
            if self.rows[-1]["size"] == self.size:
                self._end()
        return written

    def _end(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self.rows[-1]["sha256"] = self._summed.hexdigest()

    def close(self) -> None:
        """End the last part."""
        self._end()
        super().close()


class Reader(io.RawIOBase):
    """The parts as one file."""

    def __init__(self, directory: str, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = [(os.path.join(directory, row["name"]), row["size"]) for row in rows]
        self._total = sum(size for _, size in self._rows)
        self._at = 0
        self._open: dict[str, Any] = {}

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The offset in the whole."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset in the whole."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._total}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read from the part at the current offset."""
        before = 0
        for path, size in self._rows:
            if self._at < before + size:
                if path not in self._open:
                    self._open[path] = open(path, "rb")  # noqa: SIM115
                self._open[path].seek(self._at - before)
                content = self._open[path].read(min(len(buffer), before + size - self._at))
                buffer[: len(content)] = content
                self._at += len(content)
                return len(content)
            before += size
        return 0

    def close(self) -> None:
        """Close every part."""
        for file in self._open.values():
            file.close()
        super().close()


class Summed:
    """A file that is hashed while it is read."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.summed = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read and hash."""
        content: bytes = self.file.read(size)
        self.summed.update(content)
        return content


def _bad(path: str, why: str) -> report.Failed:
    return report.Failed(
        f"the media are not whole: {os.path.basename(path)} {why}",
        file=path,
        in_service="what was mirrored before; nothing of the media was taken",
        remedy=REMEDY,
    )


def read_index(directory: str) -> dict[str, Any]:
    """The index of the media, which is as its checksum says. Raises Failed naming the bad file."""
    sums = os.path.join(directory, SUMS)
    try:
        with open(sums, encoding="utf-8") as file:
            declared = {name: value for value, name in (line.split() for line in file)}
        path = os.path.join(directory, INDEX)
        with open(path, "rb") as opened:
            content = opened.read()
    except FileNotFoundError as error:
        raise _bad(str(error.filename), "is missing") from error
    except ValueError as error:
        raise _bad(sums, "is no list of checksums") from error
    if hashlib.sha256(content).hexdigest() != declared.get(INDEX):
        raise _bad(path, f"is not as {SUMS} says")
    index: dict[str, Any] = json.loads(content)
    for row in index["parts"]:
        if declared.get(row["name"]) != row["sha256"]:
            raise _bad(sums, f"does not agree with {INDEX} about {row['name']}")
    return index


def verify(
    directory: str, rows: Sequence[dict[str, Any]], known: dict[str, list[int]], say: Callable[[str], None]
) -> None:
    """Every part is there and unaltered; `known` remembers which were, by size, time and inode."""
    for row in rows:
        path = os.path.join(directory, row["name"])
        try:
            found = os.stat(path)
        except FileNotFoundError as error:
            raise _bad(path, "is missing") from error
        if found.st_size != row["size"]:
            raise _bad(path, f"is {found.st_size} bytes long instead of {row['size']}")
    for number, row in enumerate(rows, 1):
        path = os.path.join(directory, row["name"])
        found = os.stat(path)
        mark = [found.st_size, found.st_mtime_ns, found.st_ino]
        if known.get(row["sha256"]) == mark:
            continue
        say(f"{row['name']} ({number} of {len(rows)}, {found.st_size / 1e6:.1f} MB)")
        summed = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(CHUNK):
                summed.update(block)
        if summed.hexdigest() != row["sha256"]:
            raise _bad(path, "was altered: its SHA-256 is not as declared")
        known[row["sha256"]] = mark


def write_index(directory: str, index: dict[str, Any]) -> None:
    """Write the index and, last of all, the checksums: media without them are not complete."""
    content = json.dumps(index, indent=1).encode() + b"\n"
    with open(os.path.join(directory, INDEX), "wb") as file:
        file.write(content)
    rows = [(hashlib.sha256(content).hexdigest(), INDEX), *((row["sha256"], row["name"]) for row in index["parts"])]
    new = os.path.join(directory, f".{SUMS}.new")
    with open(new, "w", encoding="utf-8") as sums:
        sums.writelines(f"{value}  {name}\n" for value, name in rows)
        sums.flush()
        os.fsync(sums.fileno())
    os.rename(new, os.path.join(directory, SUMS))
