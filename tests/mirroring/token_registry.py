"""A registry as quay.io is one: tokens that end, blobs that are somewhere else; over TLS on a free port."""

from __future__ import annotations

import ssl
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

CONTENT = b'{"schemaVersion": 2}'
PASSWORD = "reader:of-all-images"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        known, parts = self.server, urlsplit(self.path)
        sent = self.headers.get("Authorization", "")
        known.asked.append((self.path, sent))
        if parts.path == "/token":
            if self.headers.get("Authorization") != f"Basic {b64encode(PASSWORD.encode()).decode()}":
                self.answer(401, b"")
                return
            known.tokens += 1
            scope = parse_qs(parts.query).get("scope", [""])[0]
            self.answer(200, f'{{"token": "{known.tokens} {scope}"}}'.encode())
        elif parts.path.startswith("/elsewhere"):
            self.answer(200, CONTENT)
        elif sent != f"Bearer {known.tokens} repository:okd/x:pull" or known.tokens <= known.ended:
            realm = f'Bearer realm="https://localhost:{known.port}/token",service="quay",scope="repository:okd/x:pull"'
            self.answer(401, b"", {"WWW-Authenticate": realm})
        elif "/blobs/" in parts.path:
            self.answer(302, b"", {"Location": f"https://127.0.0.1:{known.port}/elsewhere"})
        else:
            self.answer(200, CONTENT)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.tokens = self.ended = 0
        self.asked: list[tuple[str, str]] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "upstream.crt", tls / "upstream.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()
