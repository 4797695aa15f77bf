"""Runs inside the lab beside a machine that is installed: boot files, ignition configs over HTTP and TLS, reports, time.

usage: machine_server.py ADDRESS DIRECTORY AHEAD: serves DIRECTORY on port 8090, and its `tls` below on 22623 with the
certificate in tls.pem; prints every path that was asked for. Time is AHEAD seconds ahead.
"""

from __future__ import annotations

import functools
import http.server
import socketserver
import ssl
import sys
import threading
import time
from pathlib import Path

ADDRESS, DIRECTORY, AHEAD = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
EPOCH = 2208988800


class Time(socketserver.BaseRequestHandler):
    """Answers every datagram with a time."""

    def handle(self) -> None:
        now = time.time() + EPOCH + AHEAD
        fields = [int(now) >> shift & 255 for shift in (24, 16, 8, 0)]
        fields += [int(now % 1 * 2**32) >> shift & 255 for shift in (24, 16, 8, 0)]
        self.request[1].sendto(bytes([0x24, 2, 4, 0xEC, *[0] * 36, *fields]), self.client_address)


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves files; a report is taken by being printed."""

    def do_GET(self) -> None:
        print(self.path, flush=True)
        if self.path.startswith("/report"):
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Paths are enough."""


threading.Thread(target=socketserver.UDPServer((ADDRESS, 123), Time).serve_forever, daemon=True).start()
secure = http.server.ThreadingHTTPServer((ADDRESS, 22623), functools.partial(Files, directory=str(DIRECTORY / "tls")))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(DIRECTORY / "tls.pem")
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=secure.serve_forever, daemon=True).start()
files = functools.partial(Files, directory=str(DIRECTORY / "http"))
http.server.ThreadingHTTPServer((ADDRESS, 8090), files).serve_forever()
