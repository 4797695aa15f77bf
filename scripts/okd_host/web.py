"""Downloads over HTTP and HTTPS: who is trusted, and who is told a password.

Owns one opener a run. A password goes to the server that it belongs to, when that asks for one, and never over plain
HTTP nor to where a redirect leads. Does not own what is downloaded, nor which passwords there are.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterable
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from okd_host import tls

# `user:password` for HOST[:PORT]/PATH; empty when there is none.
Login = Callable[[str], str]


class _Passwords(urllib.request.HTTPPasswordMgr):
    """urllib's question for a user and a password, answered by a `Login`."""

    def __init__(self, login: Login) -> None:
        super().__init__()
        self._login = login

    def find_user_password(self, realm: str, authuri: str) -> tuple[str | None, str | None]:
        parts = urlsplit(authuri)
        user, colon, password = self._login(f"{parts.netloc}{parts.path}".rstrip("/")).partition(":")
        return (user, password) if colon else (None, None)


class _Handler(urllib.request.HTTPBasicAuthHandler):
    def http_error_401(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        """Answer a server that asks for a password; urllib passes no such header on when it follows a redirect."""
        if req.type != "https":
            return None
        return super().http_error_401(req, fp, code, msg, headers)


def opener(trust: Iterable[str] = (), login: Login = lambda place: "") -> urllib.request.OpenerDirector:
    """What opens URLs: `trust` (PEM) is trusted beside what this host trusts."""
    secure = urllib.request.HTTPSHandler(context=tls.outside(trust))
    return urllib.request.build_opener(secure, _Handler(_Passwords(login)))
