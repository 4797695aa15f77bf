"""Runs inside the lab beside the machine: takes one boot report (printed) and answers time, a given number of seconds ahead."""

from __future__ import annotations

import http.server
import socketserver
import struct
import sys
import threading
import time

ADDRESS, AHEAD = sys.argv[1], float(sys.argv[2])
EPOCH = 2208988800


class Time(socketserver.BaseRequestHandler):
    """Answers every datagram with a time."""

    def handle(self) -> None:
        now = time.time() + EPOCH + AHEAD
        fields = [int(now), int(now % 1 * 2**32)]
        answer = struct.pack("!BBBb11I", 0x24, 2, 4, -20, *[0] * 9, *fields)
        self.request[1].sendto(answer, self.client_address)


class Report(http.server.BaseHTTPRequestHandler):
    """Prints the path that was asked for."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()
        print(self.path, flush=True)


threading.Thread(target=socketserver.UDPServer((ADDRESS, 123), Time).serve_forever, daemon=True).start()
http.server.HTTPServer((ADDRESS, 8090), Report).handle_request()
