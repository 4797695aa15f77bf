"""Objects that tests make, where they lie, and how patches are called."""

from __future__ import annotations

import base64

from tests.node.authority import signing_request

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
OPERATORS = "/apis/config.openshift.io/v1/clusteroperators"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **({"labels": labels} if labels else {})},
        "data": data,
    }


def node(name: str, role: str = "worker", **spec: object) -> dict:
    labels = {f"node-role.kubernetes.io/{role}": ""}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def csr(name: str, user: str = "system:node:compute-0", **spec: object) -> dict:
    given = {
        "request": base64.b64encode(signing_request(user)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["digital signature", "client auth"],
    }
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    return {**kind, "metadata": {"name": name}, "spec": given | spec}
