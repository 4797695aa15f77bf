"""A registry, asked over HTTP: manifests and blobs by digest.

Owns one kept connection a thread, verified TLS, the ways to log in (a password, or a token for it), redirects and
patience with answers that fail in passing. Does not own what is asked. Content is only handed out when its SHA-256 is
right.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import BinaryIO, NamedTuple, TypeVar

from okd_host import limits
from okd_host.logins import Login, Logins, endpoint
from okd_host.mirror import trouble

BLOCK = 1024 * 1024
ACCEPT = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
PASSING = (429, 500, 502, 503, 504)
WORKERS = 4
CLIENT = "okd-libvirt"
Item = TypeVar("Item")
Made = TypeVar("Made")


class Answer(NamedTuple):
    """An HTTP answer; `headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


class Refused(Exception):
    """The registry at `host` answers something else than what was asked for."""

    def __init__(self, host: str, status: int, text: str) -> None:
        super().__init__(text)
        self.host = host
        self.status = status


def digest_of(content: bytes) -> str:
    """The digest of `content` as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def concurrently(work: Callable[[Item], Made], items: Sequence[Item], workers: int = WORKERS) -> Iterable[Made]:
    """What `work` makes of `items`, in their order; a few items are not worth a second connection."""
    workers = min(workers, 1 + len(items) // 8)
    if workers == 1:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(work, items)


class Registry:
    """One registry, by its name in references; `credentials` are all that are known."""

    def __init__(self, host: str, context: ssl.SSLContext, credentials: Logins, tries: int = 4) -> None:
        self.host = host
        self.endpoint = endpoint(host)
        self.context = context
        self.credentials = credentials
        self.tries = tries
        self._own = threading.local()
        self._authorization: dict[str, str] = {}

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | BinaryIO | None) -> Answer:
        """One exchange on the kept connection; a kept connection that was closed meanwhile is opened again."""
        parts = urllib.parse.urlsplit(url)
        kept: dict[str, HTTPConnection] = self._own.__dict__.setdefault("kept", {})
        place = f"{parts.scheme}://{parts.netloc}"
        while True:
            old = place in kept
            if not old:
                secure = parts.scheme == "https"
                kept[place] = (
                    HTTPSConnection(
                        parts.netloc, timeout=limits.DOWNLOAD_SILENCE.seconds, context=self.context, blocksize=BLOCK
                    )
                    if secure
                    else HTTPConnection(parts.netloc, timeout=limits.DOWNLOAD_SILENCE.seconds)
                )
            connection = kept[place]
            try:
                connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.will_close:
                    connection.close()
                return Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, content)
            except (OSError, HTTPException) as error:
                connection.close()
                del kept[place]
                # What was read of a file is gone.
                if not old or not (body is None or isinstance(body, bytes)):
                    # A token or a blob may lie at another server than the registry's.
                    raise trouble.Unreached(parts.netloc, error) from error

    def _log_in(self, challenge: str, repository: str, refused: str) -> bool:
        """Whether there is something but `refused` to answer a `WWW-Authenticate` header with; kept."""
        login = self.credentials.find(f"{self.host}/{repository}".rstrip("/"))
        basic = f"Basic {b64encode(login.basic.encode()).decode()}" if login and login.basic else ""
        if challenge.lower().startswith("bearer"):
            self._authorization[repository] = f"Bearer {self._token(challenge, repository, login, basic)}"
            return True
        # What another thread has found meanwhile was not refused.
        if not basic or refused == basic:
            return False
        self._authorization[repository] = basic
        return True

    def _token(self, challenge: str, repository: str, login: Login | None, basic: str) -> str:
        """A token for a repository, for a password or, where there is one, for an identity token."""
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = asked.pop("realm", "")
        asked.setdefault("scope", f"repository:{repository}:pull")
        if not repository:
            del asked["scope"]
        wanted = {key: asked[key] for key in ("service", "scope") if key in asked}
        if login and login.identity_token:
            url = realm
            form = {**wanted, "grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": login.identity_token}
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._once("POST", url, kind, urllib.parse.urlencode(form).encode())
        else:
            url = f"{realm}?{urllib.parse.urlencode(wanted)}"
            answer = self._once("GET", url, {"Authorization": basic} if basic else {}, None)
        if answer.status != 200:
            raise Refused(self.host, answer.status, f"{url}: HTTP {answer.status}")
        told = json.loads(answer.body)
        return str(told.get("token") or told.get("access_token"))

    def _ask(
        self,
        method: str,
        path: str,
        repository: str,
        headers: dict[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
    ) -> Answer:
        url = path if "://" in path else f"https://{self.endpoint}{path}"
        logged_in = False
        while True:
            sent = {"Accept": ACCEPT, **(headers or {})}
            if urllib.parse.urlsplit(url).netloc == self.endpoint and repository in self._authorization:
                sent["Authorization"] = self._authorization[repository]
            answer = self._once(method, url, sent, body)
            if answer.status in (301, 302, 303, 307, 308) and method in ("GET", "HEAD"):
                url = urllib.parse.urljoin(url, answer.headers["location"])
            elif answer.status == 401 and not logged_in:
                logged_in = True
                if not self._log_in(
                    answer.headers.get("www-authenticate", ""), repository, sent.get("Authorization", "")
                ):
                    return answer
            else:
                return answer

    def ask(
        self, method: str, path: str, repository: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer to a request. Passing trouble is tried again; raises OSError or HTTPException when it stays."""
        failures = 0
        while True:
            try:
                answer = self._ask(method, path, repository, headers, body)
                if answer.status not in PASSING or failures + 1 >= self.tries:
                    return answer
            except (OSError, HTTPException) as error:
                failed = trouble.recognise(f"{type(error).__name__} {error}")
                if failures + 1 >= self.tries or not failed.passing:
                    raise
            failures += 1
            time.sleep(min(2.0**failures / 2, 10.0))

    def get(self, kind: str, repository: str, reference: str) -> bytes:
        """A manifest or blob (`kind` is `manifests` or `blobs`) whose content is what its digest says."""
        path = f"/v2/{repository}/{kind}/{reference}"
        answer = self.ask("GET", path, repository)
        if answer.status != 200:
            text = " ".join(answer.body.decode(errors="replace").split())[:300]
            raise Refused(self.host, answer.status, f"https://{self.endpoint}{path}: HTTP {answer.status} {text}")
        if reference.startswith("sha256:") and digest_of(answer.body) != reference:
            raise Refused(self.host, 0, f"https://{self.endpoint}{path}: what comes has another digest")
        return answer.body

    def ping(self, repository: str = "") -> None:
        """Raises Refused, OSError or HTTPException unless the registry answers and takes the credentials."""
        answer = self.ask("GET", "/v2/", repository)
        if answer.status != 200:
            raise Refused(self.host, answer.status, f"https://{self.endpoint}/v2/: HTTP {answer.status}")

    def has(self, repository: str, digest: str, size: int) -> bool:
        """Whether the registry says that `repository` has the blob in that size."""
        answer = self.ask("HEAD", f"/v2/{repository}/blobs/{digest}", repository)
        if answer.status not in (200, 404):
            raise Refused(self.host, answer.status, f"HEAD {repository}@{digest}: HTTP {answer.status}")
        return answer.status == 200 and answer.headers.get("content-length") == str(size)

    def delete(self, kind: str, repository: str, digest: str) -> None:
        """Have the registry forget a manifest or blob; one that it does not know is no trouble."""
        answer = self.ask("DELETE", f"/v2/{repository}/{kind}/{digest}", repository)
        if answer.status not in (202, 404):
            raise Refused(self.host, answer.status, f"DELETE {repository}@{digest}: HTTP {answer.status}")

    def mount(self, repository: str, digest: str, origin: str) -> bool:
        """Let `repository` have a blob of the repository `origin`; whether the registry did."""
        query = urllib.parse.urlencode({"mount": digest, "from": origin})
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/?{query}", repository)
        if answer.status == 202 and "location" in answer.headers:
            self.ask("DELETE", answer.headers["location"], repository)
        return answer.status == 201

    def put(self, repository: str, digest: str, content: bytes | BinaryIO, size: int) -> None:
        """Upload a blob in one go, without trying again."""
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/", repository)
        if answer.status == 202:
            location = urllib.parse.urljoin(f"https://{self.endpoint}/", answer.headers["location"])
            joint = "&" if "?" in location else "?"
            url = f"{location}{joint}{urllib.parse.urlencode({'digest': digest})}"
            sent = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            answer = self._ask("PUT", url, repository, sent, content)
        self._created(answer, f"upload of {digest} to {repository}")

    def put_manifest(self, repository: str, reference: str, content: bytes, kind: str) -> None:
        """Upload a manifest under its digest or a tag."""
        path = f"/v2/{repository}/manifests/{reference}"
        self._created(self.ask("PUT", path, repository, {"Content-Type": kind}, content), f"upload to {path}")

    def _created(self, answer: Answer, what: str) -> None:
        if answer.status != 201:
            text = answer.body.decode(errors="replace")[:300]
            raise Refused(self.host, answer.status, f"{what}: HTTP {answer.status} {text}")
