"""A threaded web server for one directory that can resume a download: `server.py ADDRESS PORT DIRECTORY`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO, Protocol


class _Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Handler(SimpleHTTPRequestHandler):
    """Files of one directory, whole or from a byte on (`Range: bytes=N-M` or `bytes=N-`)."""

    protocol_version = "HTTP/1.1"
    _left: int | None = None

    def send_head(self) -> BinaryIO | None:
        """Answer a range with 206, or 416 when it lies outside; anything else as the base class does."""
        self._left = None
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = self.translate_path(self.path)
        if asked is None or not os.path.isfile(path):
            return super().send_head()
        size = os.path.getsize(path)
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        if first > last:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        handle = open(path, "rb")  # noqa: SIM115 - the base class closes what this returns
        handle.seek(first)
        self._left = last - first + 1
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(self._left))
        self.end_headers()
        return handle

    def copyfile(self, source: BinaryIO, outputfile: _Writer) -> None:  # type: ignore[override]
        """Send the file, or as much of it as the range asked for."""
        if self._left is None:
            shutil.copyfileobj(source, outputfile)
            return
        while self._left > 0 and (block := source.read(min(self._left, 1 << 16))):
            outputfile.write(block)
            self._left -= len(block)


def serve(address: str, port: int, directory: str) -> None:
    """Serve until ended."""
    ThreadingHTTPServer((address, port), partial(Handler, directory=directory)).serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
