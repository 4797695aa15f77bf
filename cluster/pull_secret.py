"""Pull secrets: who may pull from, and push to, which registry.

Owns their form, the merged one that the release is mirrored with (the user's and the mirror registry's), and the
cluster's own, which knows the mirror registry alone. Neither is ever shown: no message here holds any of their text.
Does not own the registry's password.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SecretStr

from cluster.values import refused, written

if TYPE_CHECKING:
    from cluster.site import Site

# The names under which the services host keeps them.
MERGED, LOCAL = "pull-secret", "local-pull-secret"


def fault(text: str) -> str | None:
    """What is wrong with a pull secret, without any of it; None when nothing is."""
    try:
        document = json.loads(text)
    except ValueError:
        return "not JSON"
    auths = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(auths, dict) or not auths:
        return "JSON without auths"
    for number, entry in enumerate(auths.values(), 1):
        auth = entry.get("auth") if isinstance(entry, dict) else None
        try:
            known = base64.b64decode(auth or "", validate=True).decode()
        except (TypeError, ValueError, binascii.Error):
            known = ""
        if ":" not in known.strip(":"):
            return f"entry {number} of its auths has no auth that is user:password in base64"
    return None


def merged(site: Site, user: str, password: str) -> str:
    """The settings' pull secret with the mirror registry's entry, as JSON text."""
    given = site.settings.release.pull_secret
    document: dict[str, Any] = json.loads(given.get_secret_value()) if given else {}
    return _text(document | {"auths": document.get("auths", {}) | _entry(site, user, password)})


def local(site: Site, user: str, password: str) -> str:
    """The cluster's own pull secret, as JSON text: the mirror registry and nothing else."""
    return _text({"auths": _entry(site, user, password)})


def _entry(site: Site, user: str, password: str) -> dict[str, dict[str, str]]:
    return {site.registry: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def pull_secret(value: Any) -> SecretStr:
    """A pull secret as settings hold it, hidden wherever they are shown."""
    if isinstance(value, SecretStr):
        return value
    problem = fault(value) if isinstance(value, str) else "not text"
    if problem is not None:
        raise refused(
            f"{problem}, so no registry would take it",
            "give the file's JSON as it is: "
            'pulumi config set --secret --path okd-libvirt:release.pullSecret "$(cat pull-secret.json)"',
        )
    return SecretStr(value)


PullSecret = Annotated[SecretStr, BeforeValidator(pull_secret), written("JSON text, secret", r"^\s*\{")]
