"""Downloads over HTTP and HTTPS: who is trusted, and who is told a password.

Owns one opener a run. A password goes to the server that it belongs to, when that asks for one, and never over plain
HTTP nor to where a redirect leads. Does not own what is downloaded.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping
from http.client import HTTPMessage
from typing import IO, Any

from okd_host import tls


class _Login(urllib.request.HTTPBasicAuthHandler):
    def http_error_401(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        """Answer a server that asks for a password; urllib passes no such header on when it follows a redirect."""
        if req.type != "https":
            return None
        return super().http_error_401(req, fp, code, msg, headers)


def opener(trust: Iterable[str] = (), credentials: Mapping[str, str] | None = None) -> urllib.request.OpenerDirector:
    """What opens URLs.

    `trust` (PEM) is trusted beside what this host trusts; `credentials` are `user:password` by server: host, host:port,
    or one of them with a path.
    """
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    for place, login in (credentials or {}).items():
        user, _, password = login.partition(":")
        passwords.add_password(None, f"https://{place}", user, password)
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls.outside(trust)), _Login(passwords))
