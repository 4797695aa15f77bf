"""smoke: check the services from inside the cluster network, before any machine boots.

Document: {"bridge": "cluster", "address" (free, for the probe), "prefix", "services": {"address", "fqdn"},
"machines": [{"name", "mac", "address", "fqdn", "router", "dns": [...], "ntp": [...], "domain", "nextServer",
"bootFile": {"pxe", "ipxe"}}], "records": [{"name", "type": "A" | "PTR", "value"}],
"ntp": {"server", "maxOffsetSeconds"}, "tftp": [paths], "http": [paths on port 8080],
"registry": {"url", "user", "password", "ca"}, "haproxy": {"ports": [...], "stats": port}}; other keys are ignored.

Leases are asked for with each declared MAC and with an unknown one, which must get none. Prints a table `check |
expected | got | result`; fails when any row does.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from functools import partial
from typing import Any

from okd_host import files, report
from okd_host.smoke import dhcp, dns, http, netns, ntp, table, tftp


def rows(document: dict[str, Any], mac: str) -> list[table.Row]:
    """Every row, from inside the namespace."""
    server, answered = document["services"]["address"], threading.Event()
    return table.gather(
        [
            ("leases", partial(dhcp.machines, netns.INNER, mac, document["machines"], answered)),
            ("unknown card", partial(dhcp.stranger, netns.INNER, mac, answered)),
            ("names", partial(dns.records, server, document["records"])),
            ("time", partial(ntp.check, document["ntp"]["server"], document["ntp"]["maxOffsetSeconds"])),
            ("TFTP", partial(tftp.check, server, document["tftp"])),
            ("HTTP", partial(http.files, server, document["http"])),
            ("registry", partial(http.registry, server, document["registry"])),
            ("load balancer", partial(http.load_balancer, server, document["haproxy"])),
        ]
    )


def _note_end() -> None:
    os.makedirs(files.STATE, exist_ok=True)
    with open(files.SMOKE, "w"):
        pass


def main(arguments: list[str], document: Any) -> None:
    """Check everything that `document` names."""
    report.hide([document["registry"]["password"]])
    stages = report.Stages(["probe", "checks"])
    with files.lock("smoke", "smoke"), ExitStack() as cleanup:
        with stages("probe"):
            place = netns.inside(document["bridge"], document["address"], document["prefix"])
            mac = cleanup.enter_context(place)
            cleanup.callback(_note_end)
            stages.detail = f"{document['address']} on {document['bridge']}, card {mac}"
        with stages("checks"):
            found = netns.run(partial(rows, document, mac))
            bad = [row for row in found if not row.good]
            stages.detail = f"{len(found) - len(bad)} of {len(found)} passed"
    report.say(table.text(found))
    if bad:
        raise report.Failed(
            f"{len(bad)} of {len(found)} checks failed",
            message=table.text(bad),
            in_service="all services as they were delivered; no machine was started",
            remedy="correct the service that a row names (on the host: `systemctl status`, `journalctl -u UNIT`), "
            "then run the update again",
        )
