"""The document of a delivery, parsed and validated.

Owns the document's form and where the content of each file comes from. Every problem of a document is reported at
once. Does not own what is done with it.
"""

from __future__ import annotations

import grp
import os
import pwd
from typing import Any, NamedTuple

from okd_host import files, report


class File(NamedTuple):
    """One file as it shall be; `path` is absolute, `secret` content must not be shown, `selinux` is a type or empty."""

    path: str
    uid: int
    gid: int
    mode: int
    content: bytes
    secret: bool
    selinux: str = ""


class Check(NamedTuple):
    """A daemon's own parser, run where the staged files are at their final paths."""

    name: str
    argv: list[str]


class Health(NamedTuple):
    """A probe of the running service: a command that succeeds, or a TCP address that accepts."""

    name: str
    argv: list[str]
    tcp: str


class Selinux(NamedTuple):
    """Booleans to switch on and ports, as (number, protocol, type), to label."""

    booleans: list[str]
    ports: list[tuple[int, str, str]]


class Bundle(NamedTuple):
    """Everything of one service. `owns` are directories in which no other files stay.

    Without `starts`, its units are started by others: those that run are restarted when their own file changed.
    """

    service: str
    packages: list[str]
    files: list[File]
    owns: list[str]
    checks: list[Check]
    units: list[str]
    reload: list[str]
    restart_on: list[str]
    health: list[Health]
    selinux: Selinux
    starts: bool = True


KEYS = {
    "service",
    "packages",
    "files",
    "owns",
    "checks",
    "units",
    "reload",
    "restart_on",
    "health",
    "selinux",
    "starts",
}
SOURCES = ("lines", "secret", "copyOf")


def service_name(name: object) -> str:
    """`name` when it can be a service's and a file's name; raises Failed otherwise."""
    if not isinstance(name, str) or not name.replace("-", "").isalnum() or name.startswith("-"):
        raise report.Failed(f"{name!r} is no service's name", remedy="use letters, digits and dashes, such as dns")
    return name


def _secret(service: str, row: dict[str, Any]) -> bytes:
    """The secret content of a row, verified; the file in service counts when it is the right one."""
    for path in (files.secret(service, row["secret"]), row["path"]):
        try:
            content, right = files.read_verified(path, row["sha256"])
        except OSError:
            continue
        if right:
            report.hide([content.decode(errors="replace")])
            return content
    raise ValueError(
        f"secret {row['secret']} with the expected SHA-256 is not on this host: "
        f"deliver it first (okd-host secrets {service})"
    )


def _content(service: str, row: dict[str, Any]) -> bytes:
    given = [key for key in SOURCES if key in row]
    if len(given) != 1:
        raise ValueError(f"needs exactly one of {', '.join(SOURCES)}, has {', '.join(given) or 'none'}")
    if "secret" in row:
        return _secret(service, row)
    if "copyOf" in row:
        try:
            with open(row["copyOf"], "rb") as file:
                return file.read()
        except OSError as error:
            raise ValueError(f"copy of {row['copyOf']}: {error.strerror}; is its package installed?") from None
    return "".join(f"{line}\n" for line in row["lines"]).encode()


def _file(service: str, row: dict[str, Any]) -> File:
    path = row["path"]
    if not os.path.isabs(path) or os.path.normpath(path) != path or os.path.dirname(path) == "/":
        raise ValueError("path must be absolute, without . or .., and not directly under /")
    try:
        uid, gid = pwd.getpwnam(row["owner"]).pw_uid, grp.getgrnam(row["group"]).gr_gid
    except KeyError as error:
        raise ValueError(f"{error.args[0]} on this host; is the service's package installed?") from None
    return File(path, uid, gid, int(row["mode"], 8), _content(service, row), "secret" in row, row.get("selinux", ""))


def parse(document: Any) -> Bundle:
    """The bundle of a document. Raises Failed with every problem found."""
    if not isinstance(document, dict):
        raise report.Failed("the document is no JSON object", remedy="give a bundle's document on stdin")
    service = service_name(document.get("service"))
    problems = [f"unknown key {key!r}" for key in sorted(set(document) - KEYS)]
    staged: dict[str, File] = {}
    for row in document.get("files", []):
        try:
            file = _file(service, row)
        except KeyError as error:
            problems.append(f"{row.get('path', 'a file')}: {error.args[0]} is missing")
        except (ValueError, TypeError) as error:
            problems.append(f"{row.get('path', 'a file')}: {error}")
        else:
            if staged.setdefault(file.path, file) is not file:
                problems.append(f"{file.path}: named twice")
    if problems:
        raise report.Failed(
            f"the bundle of {service} cannot be delivered ({len(problems)} problem{'s'[: len(problems) > 1]})",
            message="\n".join(problems),
            in_service="what was before: nothing was touched",
            remedy="correct what is listed above and run the update again",
        )
    policy = document.get("selinux", {})
    ports = [(row["port"], row["protocol"], row["type"]) for row in policy.get("ports", [])]
    return Bundle(
        service,
        list(document.get("packages", [])),
        list(staged.values()),
        list(document.get("owns", [])),
        [Check(row["name"], list(row["argv"])) for row in document.get("checks", [])],
        list(document.get("units", [])),
        list(document.get("reload", [])),
        list(document.get("restart_on", [])),
        [Health(row["name"], list(row.get("argv", [])), row.get("tcp", "")) for row in document.get("health", [])],
        Selinux(list(policy.get("booleans", [])), ports),
        bool(document.get("starts", True)),
    )
