"""The certificate signing requests of declared machines, and of nobody else.

Owns which request is approved, and approving it. Everything else is left as it is and reported, never denied: it may
be somebody's whose approval is not ours. Does not own how a request is read (csr.py).
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from okd_host.installation import csr, leases, nodes
from okd_host.installation.api import Api, Refused, segment
from okd_host.installation.leases import Pulse
from okd_host.installation.rows import BOOTSTRAP, Row

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
REASON = "OkdLibvirtApproved"
CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
BOOTSTRAPPER = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
AUTHENTICATED = "system:authenticated"
BOOTSTRAPPER_GROUPS = {
    "system:serviceaccounts",
    "system:serviceaccounts:openshift-machine-config-operator",
    AUTHENTICATED,
}
NODE, NODES = "system:node:", "system:nodes"
CLIENT_USAGES = {"digital signature", "key encipherment", "client auth"}
SERVING_USAGES = {"digital signature", "key encipherment", "server auth"}


class Approved(NamedTuple):
    """A request that was approved: its name, the machine's and what it is for ("client" or "serving")."""

    name: str
    machine: str
    kind: str


class Left(NamedTuple):
    """A request that was left, and why."""

    name: str
    requester: str
    reason: str

    def document(self) -> dict[str, str]:
        """As a result has it."""
        return self._asdict()


class Round(NamedTuple):
    """What one look at the requests came to; `others` are good ones of declared machines that were not looked for."""

    approved: list[Approved]
    left: list[Left]
    others: list[str]


class Unfit(Exception):
    """A request is not one that is approved; the reason, for the reader."""


def approve(api: Api, declared: Iterable[Row], pulse: Pulse, *, only: set[str] | None = None) -> Round:
    """Approve every pending request that a declared machine must have made, or only those of the machines named.

    `pulse` is of this wait: who reads Ready and was not seen alive in it needs a certificate, who lives does not.
    Raises Silent, or Refused when this is not allowed.
    """
    found = Round([], [], [])
    pending = [request for request in api.get(PATH).get("items") or [] if _pending(request)]
    if not pending:
        return found
    machines = {row.fqdn: row for row in declared if row.role != BOOTSTRAP}
    ready = {name: pulse.state(name) for name, node in pulse.nodes(api).items() if nodes.ready(node)}
    for request in pending:
        name = _shown(request["metadata"]["name"])
        try:
            row, kind = _judge(request["spec"], machines, ready)
        except Unfit as unfit:
            found.left.append(Left(name, _shown(request["spec"].get("username")), str(unfit)))
            continue
        if only is not None and row.name not in only:
            found.others.append(name)
        elif _approve(api, request, row):
            found.approved.append(Approved(name, row.name, kind))
    return found


def _pending(request: Mapping[str, Any]) -> bool:
    status = request.get("status") or {}
    return not status.get("certificate") and not status.get("conditions")


def _judge(spec: Mapping[str, Any], machines: Mapping[str, Row], ready: Mapping[str, str]) -> tuple[Row, str]:
    """The machine that a request is of, and what it is for. Raises Unfit."""
    signer, usages = spec.get("signerName"), _texts(spec, "usages")
    if signer not in (CLIENT, SERVING):
        raise Unfit(f"its signer is {_shown(signer)}")
    try:
        asked = csr.parse(base64.b64decode(spec.get("request") or "", validate=True))
    except (ValueError, binascii.Error) as error:
        raise Unfit(f"it cannot be read: {_shown(error)}") from None
    row = machines.get(asked.common_name.removeprefix(NODE)) if asked.common_name.startswith(NODE) else None
    if not row:
        raise Unfit(f"its common name is of no declared machine: {_shown(asked.common_name)}")
    if asked.organizations != (NODES,):
        raise Unfit(f"its organizations are {_shown(asked.organizations)} instead of {NODES}")
    if asked.others:
        raise Unfit(f"it asks for more than a kubelet does: {_shown(asked.others)}")
    if signer == CLIENT:
        _client(spec, asked, usages, row, ready)
        return row, "client"
    _serving(spec, asked, usages, row)
    return row, "serving"


def _client(spec: Mapping[str, Any], asked: csr.Request, usages: list[str], row: Row, ready: Mapping[str, str]) -> None:
    """Raises Unfit for anything but the first request of a machine that is new, or that lost what it had.

    `ready` says of each Node that reads Ready whether it lives.
    """
    user, groups = spec.get("username"), _texts(spec, "groups")
    if user == f"{NODE}{row.fqdn}":
        raise Unfit("it renews a certificate, which is the cluster's own business")
    if user != BOOTSTRAPPER:
        raise Unfit("its requester is not the one that new machines have")
    if set(groups) != BOOTSTRAPPER_GROUPS:
        raise Unfit(f"its requester's groups are {_shown(groups)}")
    if "client auth" not in usages or not set(usages) <= CLIENT_USAGES:
        raise Unfit(f"its usages are {_shown(usages)}")
    if asked.dns or asked.addresses:
        raise Unfit(f"it asks for alternative names: {_shown([*asked.dns, *asked.addresses])}")
    if ready.get(row.fqdn) == leases.ALIVE:
        raise Unfit(f"{row.fqdn} is Ready already")
    if ready.get(row.fqdn) == leases.UNKNOWN:
        raise Unfit(f"{row.fqdn} reads Ready, and whether it lives is not known yet")


def _serving(spec: Mapping[str, Any], asked: csr.Request, usages: list[str], row: Row) -> None:
    """Raises Unfit for anything but the node's own request for its own names."""
    user, groups = spec.get("username"), _texts(spec, "groups")
    if user != asked.common_name:
        raise Unfit("its requester is not the node itself")
    if set(groups) != {NODES, AUTHENTICATED}:
        raise Unfit(f"its requester's groups are {_shown(groups)}")
    if "server auth" not in usages or not set(usages) <= SERVING_USAGES:
        raise Unfit(f"its usages are {_shown(usages)}")
    short = row.fqdn.partition(".")[0]
    foreign = [name for name in asked.dns if name not in (row.fqdn, short)]
    foreign += [address for address in asked.addresses if address != row.address]
    if foreign:
        raise Unfit(f"it asks for names of others: {_shown(foreign)}")
    if row.fqdn not in asked.dns and row.address not in asked.addresses:
        raise Unfit(f"it asks for neither {row.fqdn} nor {row.address}")


def _approve(api: Api, request: dict[str, Any], row: Row) -> bool:
    """Approve exactly the object that was judged; False when it is another one by now."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": REASON,
        "message": f"requester, names, groups and usages are those of the declared machine {row.name}",
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
    }
    # Its uid and resource version go along: one that was replaced since under the same name is refused.
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    changed = {**kind, **request, "status": {**(request.get("status") or {}), "conditions": [condition]}}
    try:
        api.put(f"{PATH}/{segment(request['metadata']['name'])}/approval", changed)
    except Refused as refused:
        if refused.status in (404, 409):
            return False
        raise
    return True


def _texts(spec: Mapping[str, Any], name: str) -> list[str]:
    found = spec.get(name) or []
    return [str(text) for text in found] if isinstance(found, list) else [str(found)]


def _shown(told: object) -> str:
    """What somebody else wrote, in one line and without control characters."""
    parts = [str(one) for one in told] if isinstance(told, (list, tuple)) else [str(told)]
    text = ", ".join(parts) or "none"
    return json.dumps(text)[1:-1][:300]
