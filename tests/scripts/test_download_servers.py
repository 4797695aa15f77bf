"""Download servers that are signed by an authority of the user's, or that ask for a password: a real one over TLS."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.installation.conftest import agent

__all__ = ["agent"]
CONTENT = b"a kernel" * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()
LOGIN = "svc:p@ss-of-the-server"


class Signer:
    """A certificate authority, and what it signs."""

    def __init__(self, name: str, above: Signer | None = None) -> None:
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), _named(name)
        signer = above or self
        self.pem = _signed(self.name, self.key, signer, x509.BasicConstraints(True, None))

    def server(self, directory: Path) -> Path:
        """A file with a server's certificate, this authority's and the key."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = directory / "server.pem"
        path.write_text(_signed(_named("server"), key, self, here) + self.pem + secret.decode())
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _signed(name: x509.Name, key: ec.EllipticCurvePrivateKey, signer: Signer, more: x509.ExtensionType) -> str:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(signer.name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(more, critical=False)
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    made = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(signer.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


class Server:
    """Serves the kernel; below `/closed` to those alone who know the password; `/moved/X` leads to another server."""

    def __init__(self, certificate: Path | None, elsewhere: str = "") -> None:
        self.seen: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers["Authorization"]
                outer.seen.append((self.path, given))
                wanted = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
                if "/closed" in self.path and given != wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="downloads"')
                elif "/moved" in self.path:
                    self.send_response(302)
                    self.send_header("Location", f"{elsewhere}/closed/kernel")
                else:
                    self.send_response(200)
                    content = f"{SHA}  kernel\n".encode() if "SUMS" in self.path else CONTENT
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                    return
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.place = f"localhost:{self.server.server_port}"
        self.url = f"{'https' if certificate else 'http'}://{self.place}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def issuing() -> Signer:
    """An authority that is signed by a root which nobody here knows."""
    return Signer("issuing CA", Signer("a root far away"))


@pytest.fixture
def servers(issuing: Signer, tmp_path: Path) -> Iterator[dict[str, Server]]:
    """A server over TLS, another that it leads to, and one over plain HTTP."""
    certificate = issuing.server(tmp_path)
    other = Server(certificate)
    made = {"other": other, "own": Server(certificate, other.url), "plain": Server(None)}
    yield made
    for server in made.values():
        server.close()


def document(
    agent: Any, url: str, *, trust: list[str] | None = None, logins: list[str] | None = None
) -> dict[str, Any]:
    """What `fetch` reads, and what the host keeps for it."""
    found: dict[str, Any] = {
        "root": str(agent.root / "www"),
        "files": [{"url": url, "sha256": SHA, "path": "images/kernel"}],
    }
    if trust:
        found["trust"] = trust
    if logins is not None:
        auth = base64.b64encode(LOGIN.encode()).decode()
        text = json.dumps({"auths": {place: {"auth": auth} for place in logins}})
        kept = Path(agent.load("files").secret("release", "pull-secret"))
        kept.parent.mkdir(parents=True)
        kept.write_text(text)
        found["pullSecret"] = {"secret": "pull-secret", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return found


def fetched(agent: Any, given: dict[str, Any]) -> bytes:
    agent.load("fetch").main([], given)
    return (agent.root / "www/images/kernel").read_bytes()


def refused(agent: Any, given: dict[str, Any]) -> Any:
    with pytest.raises(agent.failed) as caught:
        agent.load("fetch").main([], given)
    return caught.value


def test_a_server_signed_by_an_issuing_authority_of_the_users_is_trusted(
    agent: Any, servers: dict[str, Server], issuing: Signer
) -> None:
    assert fetched(agent, document(agent, f"{servers['own'].url}/kernel", trust=[issuing.pem])) == CONTENT


def test_the_list_of_sums_beside_a_file_is_read_under_the_same_trust(
    agent: Any, servers: dict[str, Server], issuing: Signer
) -> None:
    given = document(agent, f"{servers['own'].url}/kernel", trust=[issuing.pem])
    given["files"][0]["sha256"] = None
    assert fetched(agent, given) == CONTENT
    assert [path for path, _ in servers["own"].seen] == ["/SHA256SUMS", "/kernel"]


def test_a_server_that_nobody_vouches_for_is_named_at_once_with_the_setting(
    agent: Any, servers: dict[str, Server]
) -> None:
    failure = refused(agent, document(agent, f"{servers['own'].url}/kernel"))
    assert f"add the CA of {servers['own'].place}" in failure.remedy
    assert "release.trustedCertificates" in failure.remedy
    assert servers["own"].seen == []


def test_every_context_of_the_agent_trusts_an_issuing_authority_alone(
    agent: Any, servers: dict[str, Server], issuing: Signer, tmp_path: Path
) -> None:
    tls, place = agent.load("tls"), tmp_path / "issuing.pem"
    place.write_text(issuing.pem)
    for context in (tls.trusting(issuing.pem), tls.trusting(files=[str(place)]), tls.outside([issuing.pem])):
        registry = agent.load("mirror.registry").Registry(servers["own"].place, context, {}, tries=1)
        assert registry.ask("GET", "/kernel", "").status == 200


def test_a_server_that_asks_for_a_password_is_told_it_and_nobody_else(
    agent: Any, servers: dict[str, Server], issuing: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = servers["own"], servers["other"]
    given = document(agent, f"{own.url}/closed/kernel", trust=[issuing.pem], logins=[own.place])
    assert fetched(agent, given) == CONTENT
    moved = {**given, "files": [{**given["files"][0], "url": f"{own.url}/moved/closed/kernel", "path": "other"}]}
    failure = refused(agent, moved)
    assert f"put user and password of {other.place} into release.pullSecret" in failure.remedy
    assert [login for _, login in other.seen] == [None]
    assert LOGIN.partition(":")[2] not in f"{capsys.readouterr()}{failure.message}{failure.remedy}"


@pytest.mark.parametrize("logins", [None, [], ["elsewhere.example.com"]])
def test_a_password_that_is_missing_is_asked_for_by_setting(
    agent: Any, servers: dict[str, Server], issuing: Signer, logins: list[str] | None
) -> None:
    own = servers["own"]
    failure = refused(agent, document(agent, f"{own.url}/closed/kernel", trust=[issuing.pem], logins=logins))
    assert f"put user and password of {own.place} into release.pullSecret" in failure.remedy
    assert len(own.seen) == 1


def test_a_password_never_travels_in_the_open(agent: Any, servers: dict[str, Server]) -> None:
    plain = servers["plain"]
    failure = refused(agent, document(agent, f"{plain.url}/closed/kernel", logins=[plain.place]))
    assert "https only" in failure.remedy
    assert [login for _, login in plain.seen] == [None]
