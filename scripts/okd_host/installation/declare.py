"""machines: note which machines the stack declares.

Document: {"machines": [{"name", "fqdn", "role", "address", "mac"}]}. The list is what decides whose certificate
requests are approved and whose Node is removed with its machine.
"""

from __future__ import annotations

import json
import os
from typing import Any

from okd_host import files, report
from okd_host.installation import rows
from okd_host.installation.rows import Row


def path() -> str:
    """Where the list is kept: beside the set, on the data volume."""
    return f"{files.RELEASE}/machines.json"


def read() -> list[Row] | None:
    """The declared machines; None when none were ever noted."""
    try:
        with open(path()) as file:
            return rows.read(json.load(file)["machines"])
    except FileNotFoundError:
        return None


def main(arguments: list[str], document: Any) -> None:
    """Note the machines of `document`."""
    stages = report.Stages(["machines"])
    with files.lock("machines", "machines"), stages("machines"):
        declared = rows.read(document["machines"])
        for what in ("name", "fqdn", "address", "mac"):
            seen = [getattr(row, what) for row in declared]
            twice = sorted({text for text in seen if seen.count(text) > 1})
            if twice:
                raise report.Failed(
                    f"two machines have the same {what}: {', '.join(twice)}",
                    in_service="the list from before",
                    remedy="give each machine of the settings its own",
                )
        before = read()
        if before != declared:
            os.makedirs(os.path.dirname(path()), exist_ok=True)
            text = json.dumps({"machines": [row.document() for row in declared]}, indent=1)
            files.write_now(path(), f"{text}\n".encode())
        stages.detail = f"{len(declared)} declared, {'the same as before' if before == declared else 'noted'}"
