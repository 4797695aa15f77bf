"""The stack's own certificate authority and the server certificates it signs: mirror registry and default ingress.

Owns both key pairs and certificates; the authority signs, it never serves. Does not own the trust stores they are
put into. Private keys stay in the state as secrets; certificates renew when `pulumi up` runs within `RENEW_HOURS`
of their end.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from cluster.plan import Plan

CA_HOURS = 1825 * 24
SERVER_HOURS = 730 * 24
RENEW_HOURS = 30 * 24
RSA_BITS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class PkiArgs:
    """`registry_fqdn` also gets a `www.` name; `registry_address` is an IPv4 address in dotted form.

    `ingress_domain` is the domain of the cluster's applications; its certificate is a wildcard.
    """

    common_name: str
    registry_fqdn: str
    registry_address: str
    ingress_domain: str

    @classmethod
    def of(cls, plan: Plan) -> PkiArgs:
        """The arguments a plan asks for."""
        return cls(
            common_name=f"{plan.cluster_domain} certificate authority",
            registry_fqdn=plan.services_fqdn,
            registry_address=str(plan.services_address),
            ingress_domain=f"apps.{plan.cluster_domain}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One server's certificate and its private key, PEM; the key is secret."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    ends: pulumi.Output[str]


class Pki(pulumi.ComponentResource):
    """CA certificate (PEM), the servers' certificates and keys; `expiry` is the first end of all, RFC 3339."""

    ca_certificate: pulumi.Output[str]
    registry: Server
    ingress: Server
    expiry: pulumi.Output[str]

    def __init__(self, name: str, args: PkiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Pki", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._ca_key = tls.PrivateKey(f"{name}-ca-key", algorithm="RSA", rsa_bits=RSA_BITS, opts=child)
        self._ca = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=self._ca_key.private_key_pem,
            subject={"common_name": args.common_name, "organization": "okd-libvirt"},
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=CA_HOURS,
            early_renewal_hours=RENEW_HOURS,
            opts=child,
        )
        registry = args.registry_fqdn
        self.ca_certificate = self._ca.cert_pem
        self.registry = self._server(f"{name}-registry", [registry, f"www.{registry}"], [args.registry_address])
        self.ingress = self._server(f"{name}-ingress", [f"*.{args.ingress_domain}"], [])
        ends = [self._ca.validity_end_time, self.registry.ends, self.ingress.ends]
        self.expiry = pulumi.Output.all(*ends).apply(lambda known: min(known))
        self.register_outputs({"caCertificate": self.ca_certificate, "expiry": self.expiry})

    def _server(self, name: str, dns_names: list[str], ip_addresses: list[str]) -> Server:
        """A key and its certificate, whose common name is the first DNS name."""
        child = pulumi.ResourceOptions(parent=self)
        key = tls.PrivateKey(f"{name}-key", algorithm="RSA", rsa_bits=RSA_BITS, opts=child)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            subject={"common_name": dns_names[0], "organization": "okd-libvirt"},
            dns_names=dns_names,
            ip_addresses=ip_addresses,
            opts=child,
        )
        signed = tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._ca_key.private_key_pem,
            ca_cert_pem=self._ca.cert_pem,
            allowed_uses=["digital_signature", "key_encipherment", "server_auth"],
            validity_period_hours=SERVER_HOURS,
            early_renewal_hours=RENEW_HOURS,
            opts=child,
        )
        return Server(
            certificate=signed.cert_pem,
            key=pulumi.Output.secret(key.private_key_pem),
            ends=signed.validity_end_time,
        )
