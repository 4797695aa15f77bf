"""Where a running cluster's routers are: on the machines that the settings name.

Owns moving them by the IngressController's placement, and seeing that they have moved. Does not own the choice, nor
waiting. Only a placement that differs is written: replicas that somebody changed by hand stay theirs until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okd_host.installation.api import Api

CONTROLLER = "/apis/operator.openshift.io/v1/namespaces/openshift-ingress-operator/ingresscontrollers/default"
DEPLOYMENT = "/apis/apps/v1/namespaces/openshift-ingress/deployments/router-default"
# What the operator takes where no placement is given, and what it adds to every one.
USUAL, ADDED = {"node-role.kubernetes.io/worker": ""}, ("kubernetes.io/os",)


def placed(api: Api, wanted: Mapping[str, Any] | None) -> tuple[bool, str]:
    """Whether the routers are where they shall be; moves them where they are not. Raises Silent or Refused."""
    if wanted is None:
        return True, "left to the cluster"
    controller = api.find(CONTROLLER)
    if not controller:
        return False, "there is no IngressController yet"
    placement = wanted["nodePlacement"]
    labels, tolerations = placement["nodeSelector"]["matchLabels"], placement.get("tolerations") or []
    now = (controller.get("spec") or {}).get("nodePlacement") or {}
    old = (now.get("nodeSelector") or {}).get("matchLabels") or {}
    if _own(old or USUAL) != labels or (now.get("tolerations") or []) != tolerations:
        selector = {**dict.fromkeys(old), **labels}
        body = {"nodeSelector": {"matchLabels": selector, "matchExpressions": None}, "tolerations": tolerations}
        api.patch(CONTROLLER, {"spec": {"nodePlacement": body, "replicas": wanted["replicas"]}})
    return _rolled_out(api.find(DEPLOYMENT) or {}, labels, f"on pool {wanted['pool']}")


def _rolled_out(deployment: Mapping[str, Any], labels: Mapping[str, str], where: str) -> tuple[bool, str]:
    """Whether the deployment is that of the placement, observed, and has no router of an older one."""
    status, spec = deployment.get("status") or {}, (deployment.get("spec") or {}).get("template", {}).get("spec") or {}
    if _own(spec.get("nodeSelector") or {}) != labels:
        return False, f"the operator has not heard yet that routers shall be {where}"
    total, updated, available = (status.get(key) or 0 for key in ("replicas", "updatedReplicas", "availableReplicas"))
    observed = status.get("observedGeneration") == deployment["metadata"].get("generation")
    done = observed and total == updated and available > 0
    return done, f"{updated} of {total} routers {where}, {available} available"


def _own(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in labels.items() if key not in ADDED}
