"""An authority that signs what tests need: clients, members, requests."""

from __future__ import annotations

import datetime
import ipaddress
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NODES = "system:nodes"


class Pair(NamedTuple):
    certificate: Path
    key: Path


class Authority:
    """Signs everything that the tests need, into files of its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("miniature-authority", [])
        built = _builder(self.name, self.name, self.key.public_key())
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = directory / "ca.crt"
        self.file.write_bytes(built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def sign(
        self,
        user: str,
        groups: Iterable[str] = (),
        *,
        server: bool = False,
        days: int = 1,
        usages: Iterable[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    ) -> Pair:
        """A certificate for clients, or for a member: which serves on loopback and asks the other members."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(_name(user, groups), self.name, key.public_key(), days)
        if server:
            usages = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = built.add_extension(x509.ExtendedKeyUsage(usages), critical=False).sign(self.key, hashes.SHA256())
        stem = self.directory / os.urandom(8).hex()
        pair = Pair(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        pair.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair


def _name(common: str, groups: Iterable[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    with warnings.catch_warnings():
        # The node-bootstrapper's name is longer than the 64 characters that X.520 allows.
        warnings.simplefilter("ignore", UserWarning)
        return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common, _validate=False)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: int = 1) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=2))
    return builder.not_valid_after(now + datetime.timedelta(days=days))


def signing_request(user: str, groups: Iterable[str] = (NODES,)) -> bytes:
    """A PKCS#10 request as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(user, groups)).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)
