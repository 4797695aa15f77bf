"""When the certificates end without which machines cannot take up their work again.

A machine that is off renews nothing. The kubelets' first certificates live a day, later ones a month; the authority
that API servers show to kubelets lives a year; between them lie those of the control plane. Of secrets only the
metadata are asked for, of files only the end: no key travels.

Owns finding the ends, and their words. Does not own what is done about them (stop.py, start.py).
"""

from __future__ import annotations

import calendar
import re
import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from okd_host import report
from okd_host.ignition.certificates import moment
from okd_host.installation import shell
from okd_host.installation.api import Api, Refused
from okd_host.installation.rows import Row

CLIENT, SERVING = "kubelet's client certificate", "kubelet's serving certificate"
FILES = {
    CLIENT: "/var/lib/kubelet/pki/kubelet-client-current.pem",
    SERVING: "/var/lib/kubelet/pki/kubelet-server-current.pem",
}
COMMAND = " && ".join(f"sudo openssl x509 -noout -enddate -in {path}" for path in FILES.values())
NOT_AFTER = "auth.openshift.io/certificate-not-after"
TO_KUBELET = "kube-apiserver-to-kubelet-signer"
NAMESPACES = (
    "openshift-kube-apiserver-operator",
    "openshift-kube-apiserver",
    "openshift-kube-controller-manager-operator",
    "openshift-kube-controller-manager",
    "openshift-kube-scheduler",
    "openshift-etcd",
)
# Revisions of static pods keep copies of secrets, also of certificates that were replaced long ago.
REVISION = re.compile(r"-\d+$")
DAY = 86400.0


class End(NamedTuple):
    """Until when one certificate is good, in seconds since 1970: what it is, and whose."""

    until: float
    what: str
    whose: str


class Ends(NamedTuple):
    """What was found, the earliest first, and what could not be learned."""

    found: list[End]
    unknown: list[str]


def look(api: Api, machines: Sequence[Row]) -> Ends:
    """The ends of all certificates that matter. Raises Silent."""
    found, unknown = _secrets(api)
    with ThreadPoolExecutor(max(1, len(machines))) as pool:
        for row, ends in zip(machines, pool.map(_of_machine, machines)):
            found += ends
            if len(ends) < len(FILES):
                unknown.append(f"the kubelet's certificates of {row.name}")
    return Ends(sorted(found), unknown)


def _secrets(api: Api) -> tuple[list[End], list[str]]:
    found, unknown = [], []
    for namespace in NAMESPACES:
        try:
            secrets = api.metadata(f"/api/v1/namespaces/{namespace}/secrets")
        except Refused as refused:
            unknown.append(f"certificates in {namespace} ({refused})")
            continue
        for secret in secrets:
            end = _of_secret(namespace, secret.get("metadata") or {})
            # What has ended while the cluster is well is in nobody's use.
            if end and end.until > time.time():
                found.append(end)
    return found, unknown


def _of_secret(namespace: str, metadata: dict[str, Any]) -> End | None:
    name, text = str(metadata.get("name")), str((metadata.get("annotations") or {}).get(NOT_AFTER) or "")
    if not text or REVISION.search(name):
        return None
    with suppress(ValueError):
        return End(float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))), name, namespace)
    return None


def _of_machine(row: Row) -> list[End]:
    """The ends of its kubelet's certificates, as far as the machine tells them."""
    texts = re.findall(r"^notAfter=(.+)$", shell.run(row, COMMAND).output, re.MULTILINE)
    found = []
    for what, text in zip(FILES, texts):
        with suppress(ValueError):
            found.append(End(float(ssl.cert_time_to_seconds(text.strip())), what, row.name))
    return found


def shown(ends: Ends) -> str:
    """The earliest end of each kind, for a reader; empty when nothing is known."""
    kinds: dict[str, list[End]] = {}
    for end in ends.found:
        kinds.setdefault(end.what if end.what in (*FILES, TO_KUBELET) else "control plane", []).append(end)
    rows = [(_kind(kind, of), moment(of[0].until), _left(of[0].until)) for kind, of in kinds.items()]
    return report.table(("certificates", "the first ends", "left"), rows) if rows else ""


def _kind(kind: str, of: Iterable[End]) -> str:
    first, *others = of
    if kind == "control plane":
        return f"{kind}: {first.what}" + (f" and {len(others)} more" if others else "")
    if kind == TO_KUBELET:
        return "authority of API servers towards kubelets"
    return f"{kind}, of {len(others) + 1} machines" if others else f"{kind} of {first.whose}"


def _left(until: float) -> str:
    return f"{(until - time.time()) / DAY:.1f} days"


def words(ends: Ends) -> str:
    """Until when the cluster should be on again, and what to do otherwise."""
    missing = f"; nothing tells the end of {', '.join(ends.unknown)}" if ends.unknown else ""
    if not ends.found:
        text = "nothing tells how long the cluster's certificates stay good; on its first day, start it within hours"
        return text + missing
    first = ends.found[0]
    text = f"good until {moment(first.until)} ({_left(first.until)}): start the cluster before"
    if first.until - time.time() <= DAY:
        text += (
            f"; WARNING: then the {first.what} of {first.whose} ends: off for longer, machines must be let in anew, as "
            "cluster-start (make start) does for declared machines, and a start by other means does not"
        )
    return text + missing
