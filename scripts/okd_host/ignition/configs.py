"""The three ignition configs of a set: what is in them, and whether they belong together.

Owns reading files out of an ignition config, the age of a set and its consistency. Does not own whether each field is
valid: CoreOS reads the files with its own parser.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from okd_host.ignition import CONFIGS
from okd_host.ignition.certificates import Validity, validities

TLS = "/opt/openshift/tls/"


def digest(contents: Mapping[str, bytes]) -> str:
    """One SHA-256 over the three files: that of `cat bootstrap.ign master.ign worker.ign`."""
    return hashlib.sha256(b"".join(contents[name] for name in CONFIGS)).hexdigest()


def _decoded(resource: Mapping[str, Any]) -> bytes:
    """What a resource with a data address holds; empty for one that is fetched from elsewhere."""
    head, _, body = str(resource.get("source") or "").partition(",")
    if not head.startswith("data:"):
        return b""
    content = base64.b64decode(body) if head.endswith(";base64") else unquote_to_bytes(body)
    return gzip.decompress(content) if resource.get("compression") == "gzip" else content


def files(config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file in `config` whose path begins with `prefix`."""
    for row in config.get("storage", {}).get("files", []):
        if row["path"].startswith(prefix):
            yield row["path"], b"".join(_decoded(part) for part in [row.get("contents") or {}, *row.get("append", [])])


def validity(bootstrap: bytes) -> Validity:
    """The validity of the certificate that expires first among those that the bootstrap machine works with.

    Certificates elsewhere in the file (of a user's trust bundle, say) tell nothing about the age of the set. Raises
    ValueError when there is none.
    """
    found = [row for _, content in files(json.loads(bootstrap), TLS) for row in validities(content)]
    if not found:
        raise ValueError(f"no certificate below {TLS}")
    return min(found, key=lambda row: row.expiry)


def problems(contents: Mapping[str, bytes], release: str) -> list[str]:
    """Why these three files are no set that can install `release`; empty when they are one."""
    parsed, found = {}, []
    for name in CONFIGS:
        try:
            parsed[name] = json.loads(contents[name])
            version = str(parsed[name]["ignition"]["version"])
        except (ValueError, KeyError, TypeError) as error:
            found.append(f"{name}: no ignition config ({type(error).__name__}: {error})")
            continue
        if not version.startswith("3."):
            found.append(f"{name}: ignition version {version}, not 3.x")
    return found or [*_pointers(parsed), *_release(parsed["bootstrap.ign"], release)]


def _pointers(parsed: Mapping[str, Any]) -> Iterator[str]:
    ours = {content.strip() for _, content in files(parsed["bootstrap.ign"], TLS)}
    for name in CONFIGS[1:]:
        ignition, role = parsed[name]["ignition"], name.partition(".")[0]
        merged = [str(row.get("source")) for row in ignition.get("config", {}).get("merge", [])]
        if not any(source.endswith(f"/config/{role}") for source in merged):
            yield f"{name}: does not point at the machine-config server ({', '.join(merged) or 'at nothing'})"
        authorities = ignition.get("security", {}).get("tls", {}).get("certificateAuthorities", [])
        if not authorities or not all(_decoded(row).strip() in ours for row in authorities):
            yield f"{name}: trusts another certificate authority than the one in bootstrap.ign"


def _release(bootstrap: Mapping[str, Any], release: str) -> Iterator[str]:
    wanted = release.rpartition("@")[2].encode()
    if not any(wanted in content for _, content in files(bootstrap, "/usr/local/bin/release-image")):
        yield f"bootstrap.ign: does not install {release}"
