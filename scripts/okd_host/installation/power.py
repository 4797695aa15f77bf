"""The whole cluster shut down and started: what both have in common.

Owns what a stop leaves behind so that a start can take it back. Does not own either (stop.py, start.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from okd_host import files, limits
from okd_host.installation import nodes
from okd_host.installation.api import Api, Refused, Silent

# There while a stop has begun that no start has taken back: half a control plane no longer answers for itself.
MARK = os.path.join(files.STATE, "cluster-stop")


def by_fqdn(api: Api) -> dict[str, dict[str, Any]]:
    """Every Node by its name. Raises Silent or Refused."""
    return {nodes.name(node): node for node in nodes.every(api)}


def stopping(node: Mapping[str, Any]) -> bool:
    """Whether it was cordoned because its machine was to be shut down with all others."""
    return nodes.mark(node).startswith(nodes.OFF)


def ask(where: Mapping[str, str]) -> tuple[Api | None, str]:
    """The API at `where` ({"url", "address"}), if it answers well; why it does not otherwise."""
    try:
        api = Api.of(where, limit=limits.API_REQUEST.seconds)
        api.get("/readyz")
    except (Silent, Refused) as error:
        return None, str(error)
    return api, ""
