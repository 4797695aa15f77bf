"""Where the release's files are on the services host, and the secrets of its verbs.

Owns the paths and that a secret is the one the document means. Does not own what is in the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from okd_host import files, logins, report

RELEASE = files.RELEASE
SYSTEM_CAS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def path(*parts: str) -> str:
    """A path below the release's directory."""
    return os.path.join(RELEASE, *parts)


def secret(row: dict[str, str]) -> tuple[str, str]:
    """Path and text of a secret that a document names; hidden from now on. Raises Failed when it is another one."""
    name = row["secret"]
    place = files.secret("release", os.path.basename(name))
    try:
        content, right = files.read_verified(place, row["sha256"].lower())
    except OSError as error:
        raise report.Failed(
            f"the secret {name} is not on this host",
            file=place,
            message=str(error),
            remedy=f"run the update: it sends {name} with `okd-host secrets release` first",
        ) from error
    text = content.decode()
    report.hide([text])
    if not right:
        raise report.Failed(
            f"the secret {name} on this host is not the one that is meant",
            file=place,
            remedy=f"run the update again: it sends {name} with `okd-host secrets release` first",
        )
    return place, text


def credentials(text: str) -> logins.Logins:
    """The logins of a pull secret; all of them hidden from now on."""
    try:
        report.hide(logins.secrets(text))
        return logins.Logins.of(text)
    except ValueError as error:
        raise report.Failed(
            "the pull secret is not valid",
            message=str(error),
            remedy='it must be JSON such as {"auths": {"quay.io": {"auth": "..."}}}',
        ) from None


def bundle(trust: Iterable[str], registry_ca: str) -> str:
    """Write the certificates that oc trusts (the system's, `trust` and the registry's) to one file; its path."""
    parts = list(trust)
    for place in (*SYSTEM_CAS, registry_ca):
        with suppress(FileNotFoundError), open(place, encoding="utf-8") as file:
            parts.append(file.read())
    content = "\n".join(part.strip() for part in parts).encode() + b"\n"
    target = path("ca-bundle.pem")
    with suppress(FileNotFoundError), open(target, "rb") as known:
        if known.read() == content:
            return target
    write(target, content, 0o644)
    return target


def remember(target: str, document: Any, mode: int = 0o600) -> None:
    """Replace `target` with `document` as JSON."""
    write(target, json.dumps(document).encode() + b"\n", mode)


def write(target: str, content: bytes, mode: int) -> None:
    """Replace `target` atomically, as a file of whoever runs this."""
    files.write_now(target, content, mode=mode, uid=os.geteuid(), gid=os.getegid())


def recall(target: str) -> Any:
    """The JSON document in `target`; an empty one when there is none."""
    with suppress(OSError, ValueError), open(target, encoding="utf-8") as file:
        return json.load(file)
    return {}
