"""A registry that holds one image's manifest and configuration: a release's labels, over TLS, for who logs in."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VERSION = "4.19.0-okd-scos.0"
AUTH = base64.b64encode(b"node:the-registrys-own-password").decode()
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = json.dumps({"architecture": "amd64", "config": {"Labels": {"io.openshift.release": VERSION}}}).encode()


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


_MANIFEST = json.dumps(
    {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": {"digest": _sha256(_CONFIG), "size": len(_CONFIG)}}
).encode()


def digest() -> str:
    """The release image's digest."""
    return _sha256(_MANIFEST)


def certificates(directory: Path, name: str) -> Path:
    """Make a key and a certificate for a name or an address; the certificate, which vouches for itself."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} under test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([_named(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (directory / "tls.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (directory / "tls.crt").write_bytes(made.public_bytes(pem))
    return directory / "tls.crt"


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = {digest(): _MANIFEST, _sha256(_CONFIG): _CONFIG}.get(self.path.rpartition("/")[2])
        status = 200 if content else 404
        if self.headers.get("Authorization") != f"Basic {AUTH}":
            status, content = 401, None
        body = content or b"{}"
        self.send_response(status)
        self.send_header("Content-Type", _MANIFEST_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(directory: str, address: str) -> None:
    """Serve on port 5000 of `address` until the process ends."""
    server = ThreadingHTTPServer((address, 5000), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
