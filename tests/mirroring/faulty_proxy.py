#!/usr/bin/python3
"""The upstream registry seen through a bad network: passes requests on to it and misbehaves as its arguments say.

`drop3`: every third connection breaks in its first answer. `corrupt PART`: what comes from paths with PART has a wrong
byte. `status CODE PART TIMES`: paths with PART are answered with CODE, the first TIMES times. `slow RATE`: bytes a
second of each answer. Every path asked for is noted in /run/asked.
"""

from __future__ import annotations

import ssl
import sys
import time
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE, ARGUMENTS = sys.argv[1], sys.argv[2:]
UPSTREAM = "127.0.0.2:5000"
state = {"connections": 0, "answered": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        state["connections"] += 1
        self.broken = MODE == "drop3" and state["connections"] % 3 == 0
        self.request.do_handshake()
        super().setup()

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with Path("/run/asked").open("a") as log:
            log.write(f"{self.command} {self.path}\n")
        if MODE == "status" and ARGUMENTS[1] in self.path and state["answered"] < int(ARGUMENTS[2]):
            state["answered"] += 1
            self.answer(
                int(ARGUMENTS[0]), b'{"errors": [{"code": "TOOMANYREQUESTS"}]}' if ARGUMENTS[0] == "429" else b""
            )
            return
        context = ssl._create_unverified_context()
        connection = HTTPSConnection(UPSTREAM, context=context)
        kept = {name: text for name, text in self.headers.items() if name in ("Accept", "Authorization", "Range")}
        connection.request(self.command, self.path, headers={**kept, "Host": "upstream.example:5000"})
        answer = connection.getresponse()
        body = answer.read()
        if MODE == "corrupt" and ARGUMENTS[0] in self.path and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in ("date", "connection", "transfer-encoding"):
                self.send_header(name, text)
        self.end_headers()
        if self.broken:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
        elif MODE == "slow":
            step = int(ARGUMENTS[0]) // 20
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(body)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="proxy"')
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 5000), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/run/tls/upstream.crt", "/run/tls/upstream.key")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
