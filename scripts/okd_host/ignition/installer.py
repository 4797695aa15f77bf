"""The real installer at work on one set.

Owns its directory, how it is run and what of its words is shown; and the secrets that go into it, which appear in files
that only root reads and nowhere else. Does not own what the set is used for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from okd_host import files, limits, logins, report
from okd_host.commands import run
from okd_host.ignition import NEW

# Holds every private key of the set.
STATE = ".openshift_install_state.json"
LOG = ".openshift_install.log"
TOLD = re.compile(r'level=(?P<level>\w+) msg=(?:"(?P<quoted>.*)"|(?P<plain>.*))$')
# Said of every release that was mirrored.
EXPECTED = ("Found override for release image",)


def _read(row: Mapping[str, str]) -> str:
    """The text of a secret kept on this host. Raises Failed when it is not the expected one."""
    path = files.secret("release", row["secret"])
    try:
        content, right = files.read_verified(path, row["sha256"])
        trouble = "" if right else "another SHA-256 than expected"
    except OSError as error:
        content, trouble = b"", str(error.strerror)
    if trouble:
        raise report.Failed(
            f"secret {row['secret']} is not on this host as expected",
            file=path,
            message=trouble,
            in_service="what was published before",
            remedy="run the update again; it delivers the secrets first (okd-host secrets release)",
        )
    return content.decode(errors="replace")


def secret(row: Mapping[str, str]) -> str:
    """The text of a secret, hidden from now on word by word: a line of it may come back quoted, or indented."""
    text = _read(row)
    report.hide(re.findall(r"[^\s\"'{}\\,]{12,}", text))
    return text


def pull_secret(row: Mapping[str, str]) -> str:
    """The cluster's pull secret, with every password in it hidden; the registries' names are none."""
    text = _read(row)
    try:
        report.hide(logins.secrets(text))  # of a login that is wrong the installer will say so
    except ValueError as error:
        raise report.Failed(
            f"secret {row['secret']} is no pull secret",
            message=str(error),
            in_service="what was published before",
            remedy='its form is {"auths": {"registry:port": {"auth": base64 of user:password}}}',
        ) from None
    return text


def clear() -> None:
    """Remove what a killed run left."""
    with suppress(FileNotFoundError):
        shutil.rmtree(NEW)


@contextmanager
def workplace() -> Iterator[str]:
    """An empty directory for one set, for root only; gone afterwards, unless the set was put in its place."""
    files.private_directory(os.path.dirname(NEW))
    before = os.umask(0o077)
    try:
        yield files.private_directory(NEW)
    finally:
        os.umask(before)
        clear()


def install_config(document: Mapping[str, Any], secret_text: str) -> str:
    """The install-config as the installer reads it; JSON is YAML."""
    return json.dumps({**document, "pullSecret": secret_text}, indent=2) + "\n"


def create(tools: str, target: str, stages: report.Stages) -> int:
    """Run `openshift-install create <target>`; the number of its warnings. Raises Failed with its own message."""
    argv = [os.path.join(tools, "openshift-install"), "create", target, "--dir", NEW]
    done = run(
        argv, limit=limits.INSTALLER.seconds, heartbeat=lambda: stages.waiting(f"openshift-install create {target}")
    )
    told = [(match["level"], _text(match)) for match in map(TOLD.search, done.output.splitlines()) if match]
    if done.code:
        errors = [text for level, text in told if level in ("error", "fatal")]
        raise report.Failed(
            f"openshift-install create {target} failed (exit code {done.code})",
            message="\n".join(errors) or done.output,
            in_service="what was published before",
            remedy="correct the settings that the message names (install-config and manifests are made of them) and "
            "run the update again",
        )
    warnings = [text for level, text in told if level == "warning" and not text.startswith(EXPECTED)]
    for text in warnings:
        report.say(f"  openshift-install: {text}")
    return len(warnings)


def _text(match: re.Match[str]) -> str:
    return match["plain"] if match["quoted"] is None else match["quoted"].replace('\\"', '"')


def tidy(keep: Mapping[str, bytes]) -> None:
    """Leave only what a set consists of, and `keep`, readable for root alone and safe on disk."""
    for name in (STATE, LOG):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(NEW, name))
    for name, content in keep.items():
        files.write_now(os.path.join(NEW, name), content, mode=0o600)
    for folder, _, names in os.walk(NEW):
        os.chmod(folder, 0o700)
        for path in [os.path.join(folder, name) for name in names]:
            os.chmod(path, 0o600)
            with open(path, "rb") as file:
                os.fsync(file.fileno())
