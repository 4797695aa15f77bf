"""Whether the control plane does without the bootstrap: what has to be seen before anything of it is touched.

Each machine of the control plane has to answer for the API, and for machine config, once: a static pod that is replaced
by its next revision takes its machine out of /readyz again for minutes. And the cluster has to say that the bootstrap's
member of etcd is removed, which it does only after the bootstrap is complete: a single control-plane machine whose
cluster still counts two members loses its majority, and with it everything, when the bootstrap goes. What gives no
answer is unknown, and is waited for.

Does not own what is done to the bootstrap (departure.py).
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from base64 import b64decode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from okd_host import limits, tls
from okd_host.ignition import guard
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.operators import ETCD, conditions
from okd_host.installation.rows import Row

REMOVED = "EtcdBootstrapMemberRemoved"
API, MACHINE_CONFIG = "API", "machine config"


class Handover:
    """What was seen so far. `late` is why each machine is still waited for, by name; `etcd` why the store is."""

    def __init__(self, where: Mapping[str, str], rows: Sequence[Row]) -> None:
        self.rows = rows
        self.late = {row.name: "" for row in rows}
        self.etcd = "no API has said yet whether the bootstrap is a member of etcd"
        self._seen: set[tuple[str, str]] = set()
        self._removed = False
        self._config = _machine_config()
        self._apis = {
            row.name: Api.of({**where, "address": row.address}, limit=limits.API_REQUEST.seconds) for row in rows
        }

    def look(self) -> tuple[bool, str]:
        """Whether everything has been seen, and what was and was not."""
        with ThreadPoolExecutor(2 * len(self.rows)) as pool:
            apis = {row.name: pool.submit(self._ask_api, row) for row in self.rows}
            configs = {row.name: pool.submit(self._ask_config, row) for row in self.rows}
            whys = {row.name: [apis[row.name].result(), configs[row.name].result()] for row in self.rows}
        self.late = {name: "; ".join(why for why in found if why) for name, found in whys.items() if any(found)}
        if self._removed:
            self.etcd = ""
        said = [f"{kind} {self._count(kind)} of {len(self.rows)}" for kind in (API, MACHINE_CONFIG)]
        said += [f"{name}: {why}" for name, why in self.late.items()]
        said.append(self.etcd or "the bootstrap's etcd member is removed")
        return not self.late and not self.etcd, "; ".join(said)

    def _count(self, kind: str) -> int:
        return sum((row.name, kind) in self._seen for row in self.rows)

    def _ask_api(self, row: Row) -> str:
        """Why the machine's API is still waited for; on the same connection it is asked for etcd's state."""
        api, why = self._apis[row.name], ""
        if (row.name, API) not in self._seen:
            why = _not_ready(api)
            if not why:
                self._seen.add((row.name, API))
        if not self._removed:
            with suppress(Silent, Refused):
                self._read(api.get(ETCD))
        return why

    def _read(self, etcd: Mapping[str, Any]) -> None:
        condition = conditions(etcd).get(REMOVED, {})
        if condition.get("status") == "True":
            self._removed = True
        else:
            self.etcd = f"the bootstrap is still a member of etcd ({REMOVED} is {condition.get('status', 'not set')})"

    def _ask_config(self, row: Row) -> str:
        if (row.name, MACHINE_CONFIG) in self._seen:
            return ""
        why = _serves_config(row, *self._config)
        if not why:
            self._seen.add((row.name, MACHINE_CONFIG))
        return why


def _not_ready(api: Api) -> str:
    try:
        api.get("/readyz")
    except (Silent, Refused) as error:
        return f"its API is not ready (/readyz): {error}"
    return ""


def _machine_config() -> tuple[ssl.SSLContext, str, int]:
    """Trust, name and port of the machine-config server, as the machines' own ignition config has them."""
    with guard.reading() as store:
        pointer = json.loads(store("master.ign"))
    url = urlsplit(pointer["ignition"]["config"]["merge"][0]["source"])
    authorities = pointer["ignition"]["security"]["tls"]["certificateAuthorities"]
    context = tls.trusting(*(b64decode(row["source"].rpartition(",")[2]).decode() for row in authorities))
    return context, str(url.hostname), url.port or 443


def _serves_config(row: Row, context: ssl.SSLContext, name: str, port: int) -> str:
    """Why the machine does not serve machine config; empty when it does."""
    try:
        plain = socket.create_connection((row.address, port), timeout=limits.API_REQUEST.seconds)
        with plain, context.wrap_socket(plain, server_hostname=name) as secure:
            secure.sendall(f"GET /healthz HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            return "" if answer.status < 300 else f"machine config: port {port} answers {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        words = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error
        return f"machine config: port {port}: {words}"
