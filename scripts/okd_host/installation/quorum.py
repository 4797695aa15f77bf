"""Whether a machine of the control plane can be missed: etcd's own word for it.

Owns asking the etcd operator and the disruption budget of etcd's guards. What gives no answer, or is not there, is
unknown, and unknown lets nobody go. Does not own waiting, nor the Nodes.
"""

from __future__ import annotations

from typing import NamedTuple

from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.operators import ETCD, conditions

BUDGETS = "/apis/policy/v1/namespaces/openshift-etcd/poddisruptionbudgets"
# Releases before 4.11 have a deployment in the place of guard pods.
GUARDS = ("etcd-guard-pdb", "etcd-quorum-guard")
AVAILABLE, DEGRADED = "EtcdMembersAvailable", "EtcdMembersDegraded"


class Verdict(NamedTuple):
    """Whether one may go, and what etcd says to it."""

    may_go: bool
    said: str


def verdict(api: Api, *, ready: bool) -> Verdict:
    """Whether etcd keeps its majority without one machine, which is `ready` itself or is missed already."""
    try:
        members = _members(api, ready=ready)
        return _guard(api, ready=ready) if members.may_go else members
    except (Silent, Refused) as error:
        return Verdict(False, f"unknown, since the API does not answer well: {error}")


def _members(api: Api, *, ready: bool) -> Verdict:
    """A majority is available; and nobody is unhealthy but, where it is down, the machine itself."""
    found = conditions(api.find(ETCD) or {})
    for kind, wanted in ((AVAILABLE, "True"), *([(DEGRADED, "False")] if ready and DEGRADED in found else [])):
        said = found.get(kind, {"message": "the operator has not reported it"})
        if said.get("status") != wanted:
            return Verdict(False, f"{kind} is {said.get('status') or 'unknown'}: {said.get('message', '')}")
    return Verdict(True, str(found[AVAILABLE].get("message", "")))


def _guard(api: Api, *, ready: bool) -> Verdict:
    for name in GUARDS:
        if budget := api.find(f"{BUDGETS}/{name}"):
            break
    else:
        return Verdict(False, f"unknown: there is no disruption budget {GUARDS[0]} in openshift-etcd")
    status, metadata = budget.get("status") or {}, budget["metadata"]
    try:
        allowed, healthy, desired = (
            int(status[key]) for key in ("disruptionsAllowed", "currentHealthy", "desiredHealthy")
        )
    except (KeyError, TypeError, ValueError):
        return Verdict(False, f"unknown: the disruption budget {name} has no status")
    if status.get("observedGeneration") != metadata.get("generation"):
        return Verdict(False, f"unknown: the status of the disruption budget {name} is an old one")
    said = f"{name} allows {allowed} disruptions, {healthy} members are healthy of {desired} that must be"
    return Verdict(allowed > 0 if ready else healthy >= desired, said)
