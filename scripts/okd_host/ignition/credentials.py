"""credentials: the kubeconfig and the kubeadmin password of the set, as one line of JSON and nothing else.

Document: {}. Both are secrets: run it where its output is shown to nobody.
"""

from __future__ import annotations

import json
from typing import Any

from okd_host import report
from okd_host.ignition import KUBECONFIG, PASSWORD, guard


def main(arguments: list[str], document: Any) -> None:
    """Print the credentials."""
    try:
        with guard.reading() as read:
            kubeconfig, password = read(KUBECONFIG).decode(), read(PASSWORD).decode().strip()
    except FileNotFoundError:
        raise report.Failed(
            "there are no credentials on this host yet", remedy="make the ignition configs first (okd-host ignition)"
        ) from None
    report.say(json.dumps({"kubeconfig": kubeconfig, "kubeadminPassword": password}))
