"""Pull secrets: who may pull from, and push to, which registry.

Owns their form, the merged one that the release is mirrored with (the user's and the mirror registry's), and the
cluster's own, which knows the mirror registry alone. Neither is ever shown: no message here holds any of their text.
Does not own the registry's password, nor how a pull secret is read (logins.py).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SecretStr

from cluster import logins
from cluster.values import refused, written

if TYPE_CHECKING:
    from cluster.site import Site

# The names under which the services host keeps them.
MERGED, LOCAL = "pull-secret", "local-pull-secret"


def merged(site: Site, user: str, password: str) -> str:
    """The settings' pull secret with the mirror registry's entry, as JSON text."""
    given = site.settings.release.pull_secret
    document: dict[str, Any] = json.loads(given.get_secret_value()) if given else {"auths": {}}
    # One of a repository in it would count for more than its own.
    others = logins.without(document["auths"], site.registry)
    return _text(document | {"auths": others | _entry(site, user, password)})


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
    found = logins.faults(value if isinstance(value, str) else "")
    if found:
        fixes = dict.fromkeys(fault.fix for fault in found)
        raise refused("; ".join(fault.harm for fault in found), "; ".join(fixes))
    return SecretStr(value)


PullSecret = Annotated[SecretStr, BeforeValidator(pull_secret), written("JSON text, secret", r"^\s*\{")]
