"""Validated places of files: paths and URLs.

Owns their forms and, for each refusal, the harm and the fix that the settings report shows. Does not own paths on the
machine that runs Pulumi (project_files.py).
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from cluster.values import as_text, refused, written


def port_holds(text: str) -> bool:
    """Whether the port of a URL, if it has one, is a port's number."""
    try:
        return urlsplit(text).port != 0
    except ValueError:
        return False


def _no_login(text: str, fix: str) -> None:
    """Refuse a URL with a user or password in it, without a word of either."""
    authority, _, rest = re.sub("^[A-Za-z+]*://", "", text).partition("/")
    # An unescaped / or # in a password ends what looks like the host.
    if "://" in text and ("@" in authority or ("@" in rest and not port_holds(text))):
        harm = "a URL with a user or password in it, which state, previews, logs and error messages would show"
        raise refused(harm, fix)


def location(value: Any) -> str:
    """A path, or an http(s) URL, of a file."""
    text = as_text(value, "a location")
    _no_login(text, "download the file by hand, and give its path on the machine that runs Pulumi")
    scheme = text.split("://", 1)[0] if "://" in text else ""
    if not text or any(character.isspace() for character in text) or scheme not in ("", "http", "https"):
        raise refused("neither a path nor an http(s) URL, so the file cannot be had", "give a path or http(s)://…")
    if text.startswith("~"):
        raise refused("no shell reads this, so ~ is no home directory", "write the path in full")
    if scheme and not port_holds(text):
        raise refused("its port is not one between 1 and 65535", "give a path or http(s)://host:port/path")
    return text


def url(value: Any) -> str:
    """An http(s) URL that the services host can download from."""
    text = as_text(value, "a URL")
    _no_login(
        text,
        "write the URL without them, and give the login in release.pullSecret, which is kept encrypted, as an entry "
        "under the server's name (host, or host:port); it is used over https",
    )
    if not re.fullmatch(r"https?://[^\s/'\"\\]+/[^\s'\"\\]*[^\s'\"\\/]", text):
        raise refused("not the http(s) URL of a file: the services host downloads it", "write http(s)://host/path/file")
    if not port_holds(text):
        raise refused("its port is not one between 1 and 65535", "write http(s)://host:port/path/file")
    return text


def absolute_path(value: Any) -> str:
    """An absolute path on another machine."""
    text = as_text(value, "a path")
    if not re.fullmatch(r"/[A-Za-z0-9._/-]*", text):
        raise refused("not an absolute path of plain characters", "write it as /var/lib/libvirt/images/okd")
    clean = re.sub("/{2,}", "/", text).rstrip("/")
    if not clean or {".", ".."} & set(clean.split("/")):
        raise refused("the top of the file system, or a path that leads through . or ..", "write where it really lies")
    return clean


Location = Annotated[
    str,
    BeforeValidator(location),
    written("path or http(s) URL", r"^(https?://(?![^/\s]*@)\S+|(?!~|[A-Za-z+]*://)\S+)$"),
]
Url = Annotated[str, BeforeValidator(url), written("http(s) URL", r"^https?://[^\s/@'\"\\]+/[^\s'\"\\]*[^\s'\"\\/]$")]
AbsolutePath = Annotated[
    str,
    BeforeValidator(absolute_path),
    written("absolute path", r"^(?!.*/\.{1,2}(/|$))/+[A-Za-z0-9._-][A-Za-z0-9._/-]*$"),
]
