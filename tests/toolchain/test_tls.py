"""Keys and certificates from the tls plugin, through the real engine, read by an independent library."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.toolchain.conftest import Engine
from tests.toolchain.plugin import UNKNOWN, Plugin

pytestmark = pytest.mark.toolchain

AUTHORITY = """
import pulumi_random as random
import pulumi_tls as tls
ca_key = tls.PrivateKey("ca", algorithm="RSA", rsa_bits=2048)
ca = tls.SelfSignedCert(
    "ca", private_key_pem=ca_key.private_key_pem, is_ca_certificate=True, max_path_length=0, set_subject_key_id=True,
    set_authority_key_id=True, validity_period_hours=43800, allowed_uses=["cert_signing", "crl_signing"],
    subject={"common_name": "test authority", "organization": "okd", "email_address": "a@example.com"})
key = tls.PrivateKey("leaf", algorithm="ECDSA", ecdsa_curve="P384")
request = tls.CertRequest(
    "leaf", private_key_pem=key.private_key_pem, dns_names=["services.okd.example.com", "www.example.com"],
    ip_addresses=["192.168.200.254"], uris=["https://example.com/x"], subject={"common_name": "services"})
leaf = tls.LocallySignedCert(
    "leaf", cert_request_pem=request.cert_request_pem, ca_cert_pem=ca.cert_pem,
    ca_private_key_pem=ca_key.private_key_pem, validity_period_hours=17520, set_subject_key_id=True,
    allowed_uses=["server_auth", "digital_signature"], early_renewal_hours=EARLY)
password = random.RandomPassword("password", length=64, special=False)
pulumi.export("ca", ca.cert_pem)
pulumi.export("caKey", ca_key.private_key_pem)
pulumi.export("leaf", leaf.cert_pem)
pulumi.export("key", key.private_key_pem)
pulumi.export("request", request.cert_request_pem)
pulumi.export("start", leaf.validity_start_time)
pulumi.export("end", leaf.validity_end_time)
pulumi.export("ready", leaf.ready_for_renewal)
pulumi.export("password", password.result)
pulumi.export("hash", password.bcrypt_hash)
"""

KEYS = """
import pulumi_tls as tls
for name, more in {"rsa": {"algorithm": "RSA"}, "p224": {"algorithm": "ECDSA"},
                   "p256": {"algorithm": "ECDSA", "ecdsa_curve": "P256"}, "ed25519": {"algorithm": "ED25519"}}.items():
    key = tls.PrivateKey(name, **more)
    public = tls.get_public_key_output(private_key_pem=key.private_key_pem)
    pulumi.export(name, {
        "pem": key.private_key_pem, "pkcs8": key.private_key_pem_pkcs8, "openssh": key.private_key_openssh,
        "public": key.public_key_pem, "publicOpenssh": key.public_key_openssh, "md5": key.public_key_fingerprint_md5,
        "sha256": key.public_key_fingerprint_sha256, "curve": key.ecdsa_curve, "bits": key.rsa_bits,
        "again": public.public_key_pem, "id": key.id, "againId": public.id})
"""


@pytest.fixture(scope="module")
def tls() -> Iterator[Plugin]:
    """The plugin without an engine."""
    with Plugin.started("tls") as plugin:
        yield plugin


def test_a_certificate_chain_is_what_was_asked_for(engine: Engine) -> None:
    engine.program(AUTHORITY.replace("EARLY", "0"))
    shown = engine.up()
    engine.unchanged()
    out = engine.outputs()
    ca = x509.load_pem_x509_certificate(out["ca"].encode())
    leaf = x509.load_pem_x509_certificate(out["leaf"].encode())

    basic = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert usage.crl_sign
    assert not usage.digital_signature
    assert ca.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)[0].value == "a@example.com"
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    public_key = ca.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert identifier == x509.SubjectKeyIdentifier.from_public_key(public_key)

    leaf.verify_directly_issued_by(ca)
    authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == identifier.digest
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["services.okd.example.com", "www.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.168.200.254")]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["https://example.com/x"]
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == datetime.timedelta(hours=17520)
    assert datetime.datetime.fromisoformat(out["end"]) == leaf.not_valid_after_utc
    assert datetime.datetime.fromisoformat(out["start"]) == leaf.not_valid_before_utc
    assert out["ready"] is False
    assert x509.load_pem_x509_csr(out["request"].encode()).is_signature_valid

    assert len(out["password"]) == 64
    assert out["hash"].startswith("$2")
    held = engine.state() + shown
    for secret in (out["password"], out["hash"], *_bodies(out["caKey"]), *_bodies(out["key"])):
        assert secret not in held


def _bodies(pem: str) -> list[str]:
    """The lines between a PEM text's first and last one."""
    return pem.strip().splitlines()[1:-1]


def test_a_certificate_is_replaced_when_due_and_only_noted_before(engine: Engine) -> None:
    engine.program(AUTHORITY.replace("EARLY", "0"))
    engine.up()
    before = engine.outputs()["leaf"]

    engine.program(AUTHORITY.replace("EARLY", "720"))
    assert "1 updated" in engine.up()
    assert engine.outputs()["leaf"] == before

    engine.program(AUTHORITY.replace("EARLY", "17521"))
    assert "1 replaced" in engine.up()
    assert engine.outputs()["leaf"] != before
    assert engine.outputs()["ready"] is True
    assert "1 to replace" in engine.run("preview")


def test_keys_have_all_their_forms(engine: Engine) -> None:
    engine.program(KEYS)
    engine.up()
    engine.unchanged()
    kinds = {"rsa": rsa.RSAPrivateKey, "p224": ec.EllipticCurvePrivateKey, "p256": ec.EllipticCurvePrivateKey}
    for name, out in engine.outputs().items():
        key = serialization.load_pem_private_key(out["pem"].encode(), None)
        assert isinstance(key, kinds.get(name, ed25519.Ed25519PrivateKey))
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        public = key.public_key().public_bytes(*form).decode()
        again = serialization.load_pem_private_key(out["pkcs8"].encode(), None)
        assert out["public"] == out["again"] == public == again.public_key().public_bytes(*form).decode()
        assert out["id"] == out["againId"]
        assert (out["curve"], out["bits"]) == ("P256" if name == "p256" else "P224", 2048)
        if name == "p224":
            assert (out["openssh"], out["publicOpenssh"], out["md5"], out["sha256"]) == ("", "", "", "")
            continue
        theirs = serialization.load_ssh_private_key(out["openssh"].encode(), None)
        assert theirs.public_key().public_bytes(*form).decode() == public
        loaded = serialization.load_ssh_public_key(out["publicOpenssh"].encode())
        assert loaded.public_bytes(*form).decode() == public
        assert out["publicOpenssh"].endswith("\n")
        assert out["md5"].count(":") == 15
        assert out["sha256"].startswith("SHA256:")


def test_state_of_the_official_plugin_previews_as_unchanged(engine: Engine) -> None:
    # The official tls plugin is bridged like the one for random, whose bookkeeping is put where its own would be.
    engine.program(AUTHORITY.replace("EARLY", "0"))
    engine.up()
    state = json.loads(engine.state())
    resources = state["deployment"]["resources"]
    bridged = next(r for r in resources if r["type"].startswith("random:"))
    kept = {part: {k: v for k, v in bridged[part].items() if k.startswith("__")} for part in ("inputs", "outputs")}
    assert kept["outputs"], "the bridge keeps no books any more"
    ours = [r for r in resources if r["type"].startswith("tls:")]
    assert len(ours) == 5
    for resource in ours:
        resource["inputs"].update({"__defaults": [], **kept["inputs"]})
        resource["outputs"].update({"__meta": '{"schema_version":"1"}', **kept["outputs"]})
    engine.run("stack", "import", stdin=json.dumps(state))
    engine.unchanged()
    assert "7 unchanged" in engine.run("refresh", "--yes", "--skip-preview")
    assert "7 deleted" in engine.run("destroy", "--yes", "--skip-preview")


KEY_PAIR = {"privateKeyPem": "x"}


@pytest.mark.parametrize(
    ("kind", "inputs", "told"),
    [
        ("PrivateKey", {"algorithm": "DSA"}, '"DSA" is none of RSA, ECDSA, ED25519'),
        ("PrivateKey", {"algorithm": "ECDSA", "ecdsaCurve": "P1"}, '"P1" is none of P224'),
        ("PrivateKey", {"algorithm": "RSA", "rsaBits": 512}, "1024 bits at least"),
        ("PrivateKey", {}, "algorithm"),
        ("CertRequest", {}, "exactly one of privateKeyPem and privateKeyPemWo"),
        ("CertRequest", {**KEY_PAIR, "privateKeyPemWo": "y"}, "exactly one of privateKeyPem and privateKeyPemWo"),
        ("CertRequest", {"privateKeyPemWo": "x"}, "needs privateKeyPemWoVersion"),
        ("CertRequest", {**KEY_PAIR, "ipAddresses": ["1.2.3"]}, '"1.2.3" is no IP address'),
        ("CertRequest", {**KEY_PAIR, "uris": [":"]}, '":" is no URI'),
        ("SelfSignedCert", {**KEY_PAIR, "validityPeriodHours": 1, "allowedUses": ["fly"]}, '"fly" is none of'),
        ("SelfSignedCert", {**KEY_PAIR, "validityPeriodHours": -1, "allowedUses": []}, "-1 is negative"),
    ],
)
def test_what_cannot_be_made_is_refused_in_the_preview(tls: Plugin, kind: str, inputs: Any, told: str) -> None:
    assert told in " ".join(tls.check(f"tls:index/{kind[0].lower()}{kind[1:]}:{kind}", inputs))


def test_a_value_not_known_yet_is_never_refused(tls: Plugin) -> None:
    assert tls.check("tls:index/privateKey:PrivateKey", {"algorithm": UNKNOWN}) == []
    inputs = {
        "privateKeyPem": UNKNOWN,
        "ipAddresses": [UNKNOWN],
        "validityPeriodHours": UNKNOWN,
        "allowedUses": UNKNOWN,
    }
    assert tls.check("tls:index/selfSignedCert:SelfSignedCert", inputs) == []


def test_errors_do_not_quote_keys(tls: Plugin) -> None:
    told = tls.create_fails("tls:index/certRequest:CertRequest", {"privateKeyPem": "MY SECRET"})
    assert "not in PEM format" in told
    assert "MY SECRET" not in told
    told = tls.invoke_fails("tls:index/getPublicKey:getPublicKey", {"privateKeyPem": "MY SECRET"})
    assert "not in PEM format" in told
    assert "MY SECRET" not in told
    assert "neither https nor tls" in tls.invoke_fails("tls:index/getCertificate:getCertificate", {"url": "http://x"})


def test_a_write_only_key_is_used_and_not_kept(engine: Engine) -> None:
    program = """
import pulumi_tls as tls
key = tls.PrivateKey("key", algorithm="ED25519")
cert = tls.SelfSignedCert("cert", private_key_pem_wo=key.private_key_pem, private_key_pem_wo_version=VERSION,
                          validity_period_hours=1, allowed_uses=["server_auth"])
pulumi.export("cert", cert.cert_pem)
"""
    engine.program(program.replace("VERSION", "1"))
    engine.up()
    engine.unchanged()
    state = json.loads(engine.state())
    outputs = next(r["outputs"] for r in state["deployment"]["resources"] if r["type"].endswith("SelfSignedCert"))
    assert "privateKeyPemWo" not in outputs
    engine.program(program.replace("VERSION", "2"))
    assert "1 replaced" in engine.up()


@pytest.fixture
def site(tls: Plugin, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A TLS server on loopback with a certificate that nobody trusts: its port and the certificate."""
    _, key = tls.create("tls:index/privateKey:PrivateKey", {"algorithm": "ECDSA", "ecdsaCurve": "P256"})
    _, made = tls.create(
        "tls:index/selfSignedCert:SelfSignedCert",
        {
            "privateKeyPem": key["privateKeyPem"],
            "validityPeriodHours": 1,
            "allowedUses": ["server_auth"],
            "ipAddresses": ["127.0.0.1"],
            "subject": {"commonName": "site"},
        },
    )
    (tmp_path / "both.pem").write_text(key["privateKeyPem"] + made["certPem"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as session:
                session.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], made["certPem"]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_sites_certificate_is_read_and_verified_unless_told_otherwise(tls: Plugin, site: tuple[int, str]) -> None:
    port, certificate = site
    token = "tls:index/getCertificate:getCertificate"
    for scheme in ("https", "tls"):
        arguments = {"url": f"{scheme}://127.0.0.1:{port}", "verifyChain": False}
        (found,) = tls.invoke(token, arguments)["certificates"]
        assert (found["certPem"], found["subject"], found["isCa"]) == (certificate, "CN=site", False)
        assert found["maxPathLength"] == -1
    assert "unknown authority" in tls.invoke_fails(token, {"url": f"https://127.0.0.1:{port}"})
    assert tls.invoke(token, {"content": certificate})["certificates"] == [found]
    assert "verifyChain cannot be used" in tls.invoke_fails(token, {"content": certificate, "verifyChain": True})
