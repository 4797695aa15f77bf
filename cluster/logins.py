"""Logins at registries, as a pull secret holds them: the one reading of it, for the program and the host agent.

Owns which entry of `auths` is whose, as containers/image finds them, what no program would find or could use, and which
texts in it are secrets. Does not own where a pull secret comes from. No fault holds any text of an entry.
The agent carries this very file as `okd_host.logins`. Standard library only.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# Docker Hub: as references name it, where it answers, and what its entry is called since its first days.
HUB, HUB_ENDPOINT, HUB_KEY = "docker.io", "registry-1.docker.io", "index.docker.io"
HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
KEY = re.compile(rf"{HOST}(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
URL = re.compile(rf"https?://{HOST}(?:/[^\s@]*)?")


class Login(NamedTuple):
    """User and password; or the token that a registry has given for them, by which it gives others."""

    user: str
    password: str
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """`user:password`; empty when there is no password."""
        return f"{self.user}:{self.password}" if self.password else ""


class Fault(NamedTuple):
    """What of a pull secret cannot be used, and how to put it right."""

    harm: str
    fix: str


class Logins:
    """The entries of a pull secret by their keys."""

    def __init__(self, entries: Mapping[str, Login]) -> None:
        self._entries = dict(entries)

    @classmethod
    def of(cls, text: str) -> Logins:
        """The usable entries of a pull secret. Raises ValueError when it is none; the message quotes nothing."""
        return cls({key: login for key, entry in entries(text).items() if (login := _login(entry)) is not None})

    def find(self, repository: str) -> Login | None:
        """Whose login counts for a repository (registry/path) or a registry: the most specific entry's."""
        place = repository
        while place:
            if place in self._entries:
                return self._entries[place]
            place = place.rpartition("/")[0]
        wanted = _whole(repository.partition("/")[0])
        return next((login for key, login in self._entries.items() if _registry(key) == wanted), None)


def endpoint(registry: str) -> str:
    """Host and port that answer for a registry as references name it."""
    return HUB_ENDPOINT if registry in (HUB, HUB_KEY) else registry


def entries(text: str) -> dict[str, Any]:
    """`auths` of a pull secret. Raises ValueError, whose message quotes nothing."""
    try:
        document = json.loads(text)
    except ValueError:
        raise ValueError("not JSON") from None
    auths = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(auths, dict):
        raise ValueError("JSON without auths")
    return auths


def secrets(text: str) -> list[str]:
    """Every text of a pull secret's entries that must not be shown. Raises ValueError as `entries`."""
    found = []
    for entry in entries(text).values():
        if not isinstance(entry, dict):
            raise ValueError("an entry of its auths is no mapping")
        found += [str(value) for value in entry.values()]
        login = _login(entry)
        if login is not None:
            found += [login.basic, login.password]
    return found


def without(auths: Mapping[str, Any], registry: str) -> dict[str, Any]:
    """The entries that say nothing of a registry, nor of any repository in it."""
    return {key: entry for key, entry in auths.items() if _whole(_host(key)) != _whole(registry)}


def faults(text: str) -> list[Fault]:
    """Everything in a pull secret that no program would find or could use."""
    command = "pulumi config set --secret --path okd-libvirt:release.pullSecret"
    form = f'give the file\'s JSON as it is: {command} "$(cat pull-secret.json)"'
    try:
        auths, document = entries(text), json.loads(text)
    except ValueError as error:
        return [Fault(f"{error}, so no registry would take it", form)]
    if not auths:
        return [Fault("JSON without auths, so no registry would take it", form)]
    helped = bool(document.get("credsStore") or document.get("credHelpers"))
    found = []
    for number, (key, entry) in enumerate(auths.items(), 1):
        name = f"entry {number} of its auths{f' ({key})' if KEY.fullmatch(key) else ''}"
        found += [*_unfound(name, key), *_unusable(name, entry, helped)]
    if document.get("credHelpers"):
        harm = (
            "its credHelpers name programs that give passwords, and the services host has none of them: oc would stop"
        )
        found.append(Fault(harm, "remove credHelpers, and put user and password into auths: podman login --authfile"))
    return [*found, *_ambiguous(auths)]


def _unfound(name: str, key: str) -> Iterator[Fault]:
    if KEY.fullmatch(key) or URL.fullmatch(key):
        return
    host = re.match(HOST, key)
    fix = f"write {host[0]}" if host and key[host.end() :].startswith(("/", ":", "@")) and "@" not in key else ""
    yield Fault(
        f"{name} has a key that no program looks for, so it would not be used",
        f"{fix or 'write registry.example.com'}, with its port where it has one, or that and the path of a repository",
    )


def _unusable(name: str, entry: Any, helped: bool) -> Iterator[Fault]:
    login = _login(entry)
    if login is not None and (login.basic or login.identity_token):
        return
    empty = isinstance(entry, dict) and not any(entry.values())
    if empty and helped:
        why = "is empty: the password is in a credential store of the machine that it was written on"
    elif isinstance(entry, dict) and "username" in entry:
        why = "has username and password apart, and no auth, which oc alone reads"
    else:
        why = "has no auth that is user:password in base64"
    yield Fault(f"{name} {why}", "log in with podman login --authfile FILE, and give that file's JSON; or remove it")


def _ambiguous(auths: Mapping[str, Any]) -> Iterator[Fault]:
    """Entries of which several are as good for a registry, while none has its very name."""
    rivals: dict[str, list[int]] = {}
    for number, key in enumerate(auths, 1):
        registry = _registry(key)
        name = HUB if registry == HUB_KEY else registry
        if registry and name not in auths:
            rivals.setdefault(name, []).append(number)
    keys = list(auths)
    for name, numbers in rivals.items():
        if len({_login(auths[keys[number - 1]]) for number in numbers}) > 1:
            which = " and ".join(str(number) for number in numbers)
            harm = f"entries {which} of its auths are all for {name}, with different logins: which is used is chance"
            yield Fault(harm, f"keep the right one, under the key {name}")


def _login(entry: Any) -> Login | None:
    """The login in an entry; None where there is nothing that could be read as one."""
    if not isinstance(entry, dict):
        return None
    token = next((value for key, value in entry.items() if key.lower() == "identitytoken"), "")
    try:
        known = b64decode(entry.get("auth") or "", validate=True).decode()
    except (TypeError, ValueError):
        return None
    user, colon, password = known.partition(":")
    if not colon and not token:
        return None
    return Login(user, password.strip("\0") if user else "", token if isinstance(token, str) else "")


def _registry(key: str) -> str:
    """The registry that a key is for as a whole; empty where it is for a repository alone."""
    host = _host(key)
    return _whole(host) if host == key or URL.match(key) else ""


def _host(key: str) -> str:
    return re.sub("^https?://", "", key).partition("/")[0]


def _whole(registry: str) -> str:
    """One name for the names of Docker Hub; every other registry has one."""
    return HUB_KEY if registry in (HUB, HUB_ENDPOINT) else registry
