#!/usr/bin/python3
"""An HTTP server that is as unreliable as its first argument says; notes its requests in /run/requests.

`drop`: every answer breaks off after 300 kB. `norange`: ignores Range. `good`: neither. Serves /srv/upstream on 8099.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE = sys.argv[1]
PIECE = 300_000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        with Path("/run/requests").open("a") as log:
            log.write(f"{self.path} {asked}\n")
        path = Path("/srv/upstream") / self.path.lstrip("/")
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/image")
            self.end_headers()
            return
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = int(asked[6:-1]) if asked and MODE != "norange" else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + PIECE if MODE == "drop" else len(content)
        self.wfile.write(content[start:end])


ThreadingHTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
