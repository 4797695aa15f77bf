#!/usr/bin/python3
"""api_server.py CERTIFICATE KEY MODE: something that speaks TLS on 127.0.0.1:6443, as a cluster's API does.

`up`: /readyz is answered well. `starting`: it is not, nor is anything else. `anonymous`: only /version is answered.
"""

from __future__ import annotations

import os
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATE, KEY, MODE = sys.argv[1:]
WELL = {"up": ("/readyz", "/version"), "anonymous": ("/version",), "starting": ()}[MODE]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"ok" if self.path in WELL else b"[-]etcd failed: reason withheld"
        self.send_response(200 if self.path in WELL else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Path("/run/api.pid").write_text(str(os.getpid()))
server = ThreadingHTTPServer(("127.0.0.1", 6443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
