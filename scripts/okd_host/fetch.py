"""fetch: boot files, downloaded and verified by SHA-256.

Document: {"root": "/var/www/okd", "files": [{"url", "sha256", "path" below root}]; optional "trust": [PEM], beside what
this host trusts, and "pullSecret": {"secret", "sha256"}, with servers' passwords}; where "sha256" is null, the list of
sums beside the file's address says it: `SHA256SUMS`, or the name that "sums" gives. A download goes on where an
interrupted one stopped, is tried again with growing pauses as long as it makes no progress, and takes its name only
when its SHA-256 is right; what was there before stays until then. A file that is right is not fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import time
import urllib.error
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, Request

from okd_host import files, limits, report, web
from okd_host.mirror import places, trouble

TRIES = 6
CHUNK = 1024 * 1024
SUMS = "SHA256SUMS"
KNOWN = os.path.join(files.STATE, "fetched.json")
MIB = 1024 * 1024


class _Memory:
    """SHA-256 by path, size and time, so that gigabytes are not read again at every run."""

    def __init__(self) -> None:
        self.known: dict[str, list[Any]] = {}
        with suppress(OSError, ValueError), open(KNOWN) as file:
            self.known = json.load(file)

    def digest(self, path: str) -> str:
        """The SHA-256 of `path`; empty when there is no such file."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return ""
        mark = [found.st_size, found.st_mtime_ns, found.st_ino]
        if self.known.get(path, [None])[1:] != mark:
            self.known[path] = [_hash(path).hexdigest(), *mark]
            os.makedirs(files.STATE, exist_ok=True)
            files.write_now(KNOWN, json.dumps(self.known).encode())
        return str(self.known[path][0])


def _hash(path: str) -> Any:
    digest = hashlib.sha256()
    with suppress(FileNotFoundError), open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest


def _transfer(opener: OpenerDirector, url: str, part: str, name: str, stages: report.Stages) -> str:
    """Fetch the rest of `url` into `part`; its SHA-256. Raises OSError or HTTPException when the way breaks."""
    have = os.path.getsize(part) if os.path.exists(part) else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = opener.open(request, timeout=limits.DOWNLOAD_SILENCE.seconds)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # The part is as long as the file already, or longer: its SHA-256 decides.
        return str(_hash(part).hexdigest())
    with answer:
        if not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            have = 0
        digest = _hash(part) if have else hashlib.sha256()
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        said = time.monotonic()
        with open(part, "r+b" if have else "wb") as file:
            file.seek(have)
            while block := answer.read(CHUNK):
                file.write(block)
                digest.update(block)
                have += len(block)
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    share = f" of {total / MIB:.1f} MiB, {100 * have // total} %" if total else " MiB"
                    report.say(f"  {name}: {have / MIB:.1f}{share} ({stages.elapsed:.0f} s)")
        if have < total:
            raise OSError(f"connection closed after {have} of {total} bytes")
    return str(digest.hexdigest())


class _Sums:
    """Declared SHA-256 values: from the document, or from the list of sums beside an address, read once each."""

    def __init__(self, opener: OpenerDirector) -> None:
        self.opener = opener
        self.lists: dict[str, dict[str, str]] = {}

    def declared(self, row: Mapping[str, Any]) -> str:
        """The SHA-256 (hex) that the file of `row` must have."""
        if row["sha256"]:
            return str(row["sha256"]).lower()
        folder, _, name = row["url"].rpartition("/")
        listed = row.get("sums") or SUMS
        address = f"{folder}/{listed}"
        try:
            if address not in self.lists:
                with self.opener.open(address, timeout=limits.DOWNLOAD_SILENCE.seconds) as answer:
                    rows = [line.split() for line in answer.read(MIB).decode(errors="replace").splitlines()]
                self.lists[address] = {row[-1].lstrip("*").rpartition("/")[2]: row[0].lower() for row in rows if row}
            return self.lists[address][name]
        except (OSError, HTTPException, ValueError, KeyError) as error:
            raise report.Failed(
                f"no SHA-256 is declared for {row['url']}, and none is found beside it",
                message=f"{address}: {f'no line for {name}' if isinstance(error, KeyError) else error}",
                in_service="the file from before, if any",
                remedy=_remedy(error, address)
                or f"declare sha256 in the settings, or publish {listed} beside the file",
            ) from error


def _permanent(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return 400 <= error.code < 500 and error.code not in (408, 425, 429)
    return _untrusted(error)


def _remedy(error: Exception, url: str) -> str:
    """What helps against a server that is not trusted, or that asks for a password; empty for other trouble."""
    # A redirect may have led to another server.
    host = urlsplit(getattr(error, "url", "") or url).netloc.rpartition("@")[2]
    if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
        return f"put user and password of {host} into release.pullSecret in the settings, under that name (https only)"
    return trouble.recognise(str(error)).remedy.format(host=host) if _untrusted(error) else ""


def _untrusted(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)


def _download(opener: OpenerDirector, row: Mapping[str, Any], path: str, declared: str, stages: report.Stages) -> None:
    part = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.part")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    failures, wrong = 0, 0
    while True:
        before = os.path.getsize(part) if os.path.exists(part) else 0
        try:
            digest = _transfer(opener, row["url"], part, row["path"], stages)
        except (OSError, HTTPException, ValueError) as error:
            after = os.path.getsize(part) if os.path.exists(part) else 0
            failures = 1 if after > before else failures + 1
            if failures >= TRIES or _permanent(error) or isinstance(error, ValueError):
                raise report.Failed(
                    f"{row['url']} cannot be fetched",
                    file=path,
                    message=str(error),
                    in_service="the file from before" if os.path.exists(path) else "no such file",
                    remedy=_remedy(error, row["url"])
                    or "check the address and the services host's way there; the next run goes on at "
                    f"{after / MIB:.1f} MiB",
                ) from error
            pause = 2.0 ** (failures - 1)
            report.say(f"  {row['path']}: {error}; again in {pause:.0f} s (try {failures + 1} of {TRIES})")
            time.sleep(pause)
            continue
        if digest == declared:
            break
        os.unlink(part)
        wrong += 1
        # The first time it may have been the rest of an older version.
        if wrong == 1 and before:
            continue
        raise report.Failed(
            f"{row['url']} has another SHA-256 than declared",
            file=path,
            message=f"declared {declared}\nfetched  {digest}",
            in_service="the file from before" if os.path.exists(path) else "no such file",
            remedy="take address and SHA-256 from the same source (openshift-install coreos print-stream-json)",
        )
    os.chmod(part, 0o644)
    os.rename(part, path)
    files.label([path])


def main(arguments: list[str], document: Any) -> None:
    """Fetch the files of `document`."""
    if not isinstance(document, dict) or not {"root", "files"} <= set(document):
        raise report.Failed("the document lacks root or files", remedy='give {"root": directory, "files": [...]}')
    rows = document["files"]
    fetch(document["root"], rows, report.Stages([row["path"] for row in rows]), opener(document))


def opener(document: Mapping[str, Any]) -> OpenerDirector:
    """What opens URLs with the document's trust and passwords."""
    given = document.get("pullSecret")
    logins = places.credentials(places.secret(given)[1]) if given else None

    def basic(place: str) -> str:
        login = logins.find(place) if logins else None
        return login.basic if login else ""

    return web.opener(document.get("trust") or [], basic)


def fetch(
    root: str, rows: Sequence[Mapping[str, Any]], stages: report.Stages, opener: OpenerDirector
) -> dict[str, str]:
    """Have every file of `rows` below `root`, each in the stage of its path; the SHA-256 of each by its path."""
    root, digests = os.path.normpath(root), {}
    memory, sums = _Memory(), _Sums(opener)
    with files.lock("fetch", "fetch"):
        for row in rows:
            with stages(row["path"]):
                path = os.path.normpath(os.path.join(root, row["path"]))
                if not path.startswith(f"{root}/"):
                    raise report.Failed(f"{path} is not below {root}", remedy="give a path below the root")
                declared = digests[row["path"]] = sums.declared(row)
                fresh = memory.digest(path) != declared
                if fresh:
                    _download(opener, row, path, declared, stages)
                    memory.digest(path)
                stages.detail = f"{os.path.getsize(path) / MIB:.1f} MiB, {'fetched' if fresh else 'already right'}"
    return digests
