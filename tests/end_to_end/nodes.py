"""A stack's machines from both sides: as nodes of the cluster, and as domains of libvirt."""

from __future__ import annotations

import json
import time
from typing import Any

from cluster.names import Names
from tests.end_to_end.clone import Clone
from tests.patience import BOOT_SECONDS


def ready(clone: Clone) -> set[str]:
    """The names of all Ready nodes, as the real oc sees them."""
    found = clone.oc("get", "nodes", "-o", "json")
    return {
        row["metadata"]["name"].partition(".")[0] for row in items(found.text) if found.code == 0 and _is_ready(row)
    }


def items(text: str) -> list[dict[str, Any]]:
    # A warning on stderr may come after it.
    return list(json.JSONDecoder().raw_decode(text, text.index("{"))[0]["items"]) if "{" in text else []


def _is_ready(node: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])


def until(condition: Any, what: str) -> float:
    """Wait for a condition; how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < BOOT_SECONDS, f"{what} did not come within {BOOT_SECONDS} s"
        time.sleep(2)
    return time.monotonic() - started


def identities(clone: Clone) -> dict[str, str]:
    """The UUID of every machine's domain, by the machine's name."""
    found, prefix = {}, Names(clone.name).domain("")
    for name in clone.inside("virsh", "list", "--all", "--name").ok().text.split():
        if name.startswith(prefix):
            found[name.removeprefix(prefix)] = clone.inside("virsh", "domuuid", name).ok().text.strip()
    return found


def running(clone: Clone) -> dict[str, str]:
    """By the names of the stack's running domains: which start of theirs it is, as libvirt counts all starts."""
    rows = [line.split() for line in clone.inside("virsh", "list").ok().text.splitlines()[2:] if line.strip()]
    return {row[1]: row[0] for row in rows if row[1].startswith(Names(clone.name).domain(""))}


def boots(clone: Clone) -> dict[str, str]:
    rows = items(clone.oc("get", "nodes", "-o", "json").ok().text)
    return {row["metadata"]["name"].partition(".")[0]: row["status"]["nodeInfo"]["bootID"] for row in rows}


def boots_or_none(clone: Clone) -> dict[str, str]:
    return boots(clone) if clone.oc("get", "nodes", "-o", "json").code == 0 else {}
