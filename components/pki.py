"""The stack's own certificate authority and the mirror registry's server certificate.

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
REGISTRY_HOURS = 730 * 24
RENEW_HOURS = 30 * 24
RSA_BITS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class PkiArgs:
    """`registry_fqdn` also gets a `www.` name; `registry_address` is an IPv4 address in dotted form."""

    common_name: str
    registry_fqdn: str
    registry_address: str

    @classmethod
    def of(cls, plan: Plan) -> PkiArgs:
        """The arguments a plan asks for."""
        return cls(
            common_name=f"{plan.cluster_domain} certificate authority",
            registry_fqdn=plan.services_fqdn,
            registry_address=str(plan.services_address),
        )


class Pki(pulumi.ComponentResource):
    """CA certificate, and the registry's certificate and key (all PEM; the key is secret)."""

    ca_certificate: pulumi.Output[str]
    registry_certificate: pulumi.Output[str]
    registry_key: pulumi.Output[str]
    expiry: pulumi.Output[str]

    def __init__(self, name: str, args: PkiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Pki", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        ca_key = tls.PrivateKey(f"{name}-ca-key", algorithm="RSA", rsa_bits=RSA_BITS, opts=child)
        ca = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=ca_key.private_key_pem,
            subject={"common_name": args.common_name, "organization": "okd-libvirt"},
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=CA_HOURS,
            early_renewal_hours=RENEW_HOURS,
            opts=child,
        )
        registry_key = tls.PrivateKey(f"{name}-registry-key", algorithm="RSA", rsa_bits=RSA_BITS, opts=child)
        request = tls.CertRequest(
            f"{name}-registry-request",
            private_key_pem=registry_key.private_key_pem,
            subject={"common_name": args.registry_fqdn, "organization": "okd-libvirt"},
            dns_names=[args.registry_fqdn, f"www.{args.registry_fqdn}"],
            ip_addresses=[args.registry_address],
            opts=child,
        )
        registry = tls.LocallySignedCert(
            f"{name}-registry",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=ca_key.private_key_pem,
            ca_cert_pem=ca.cert_pem,
            allowed_uses=["digital_signature", "key_encipherment", "server_auth"],
            validity_period_hours=REGISTRY_HOURS,
            early_renewal_hours=RENEW_HOURS,
            opts=child,
        )
        self.ca_certificate = ca.cert_pem
        self.registry_certificate = registry.cert_pem
        self.registry_key = pulumi.Output.secret(registry_key.private_key_pem)
        self.expiry = pulumi.Output.all(ca.validity_end_time, registry.validity_end_time).apply(lambda ends: min(ends))
        self.register_outputs({"caCertificate": self.ca_certificate, "expiry": self.expiry})
