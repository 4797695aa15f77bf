"""Certificate signing requests that no approver may approve: the right form, but not of a declared machine."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
CLIENT_USAGES, SERVING_USAGES = ["digital signature", "client auth"], ["digital signature", "server auth"]


@dataclass(frozen=True)
class Request:
    """One object to create, as `user`: "bootstrap" (what a new machine is) or "admin"."""

    document: dict[str, Any]
    user: str


def _pem(common_name: str, organizations: list[str], names: list[str], addresses: list[str]) -> str:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in names]
    alternatives += [x509.IPAddress(IPv4Address(one)) for one in addresses]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def _request(
    name: str,
    common_name: str,
    *,
    organizations: list[str] | None = None,
    names: list[str] | None = None,
    addresses: list[str] | None = None,
    signer: str = CLIENT,
    usages: list[str] | None = None,
    user: str = "bootstrap",
) -> Request:
    pem = _pem(common_name, ["system:nodes"] if organizations is None else organizations, names or [], addresses or [])
    return Request(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": f"foreign-{name}"},
            "spec": {
                "request": pem,
                "signerName": signer,
                "usages": usages or (CLIENT_USAGES if signer == CLIENT else SERVING_USAGES),
            },
        },
        user,
    )


def foreign(domain: str, address: str) -> list[Request]:
    """Requests that differ from a declared machine's in one thing each; `address` is compute-0's."""
    known = f"system:node:compute-2.{domain}"
    return [
        _request("undeclared", f"system:node:stranger.{domain}"),
        _request("undeclared-short", "system:node:compute-2"),
        _request("no-node", "admin"),
        _request("master", f"system:node:compute-2.{domain}.evil.example"),
        _request("wrong-group", known, organizations=["system:masters"]),
        _request("second-group", known, organizations=["system:nodes", "system:masters"]),
        _request("no-group", known, organizations=[]),
        _request("client-with-names", known, names=[f"compute-2.{domain}"]),
        _request("server-usage", known, usages=[*CLIENT_USAGES, "server auth"]),
        _request("any-usage", known, usages=["digital signature", "cert sign", "client auth"]),
        _request("by-admin", known, user="admin"),
        _request("ready-node", f"system:node:compute-0.{domain}"),
        _request("serving-by-another", known, signer=SERVING, names=[f"compute-2.{domain}"], addresses=[address]),
        _request("other-signer", known, signer="kubernetes.io/kube-apiserver-client"),
    ]
