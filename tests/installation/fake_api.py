"""A cluster's API in this process: TLS with client certificates, objects by their paths, faults on demand.

It keeps what real servers keep (resource versions, conflicts, sub-resources) and does nothing of its own: what a
controller would do, a test does, or has done by `after`.
"""

from __future__ import annotations

import base64
import copy
import datetime
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.patience import PATIENCE_SECONDS

DOMAIN = "okd.lab.example"
NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
OPERATORS = "/apis/config.openshift.io/v1/clusteroperators"
ETCD = "/apis/operator.openshift.io/v1/etcds/cluster"
VERSIONS = "/apis/config.openshift.io/v1/clusterversions"
Object = dict[str, Any]


class Pair(NamedTuple):
    """A certificate with its key, both as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates; EC keys, since they are quick to make."""

    def __init__(self, name: str = "the set's authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key())
        self.certificate = builder.add_extension(x509.BasicConstraints(True, None), True).sign(
            self.key, hashes.SHA256()
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def pair(self, name: str, organization: str = "", host: str = "") -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        builder = self._builder(x509.Name(attributes), key.public_key())
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        pem = serialization.PrivateFormat.PKCS8
        return Pair(
            builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()),
        )


@cache
def authority() -> Authority:
    """The one that the kubeconfig trusts."""
    return Authority()


@cache
def _pairs() -> tuple[Pair, Pair]:
    own = authority()
    return own.pair("kube-apiserver", host=f"api.{DOMAIN}"), own.pair("system:admin", "system:masters")


def b64(content: bytes | str) -> str:
    return base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()


class _Where(NamedTuple):
    """A request's path, taken apart: the collection, a namespace, a name and a sub-resource."""

    base: str
    namespace: str
    resource: str
    name: str
    sub: str

    @property
    def item(self) -> str:
        return "/".join(part for part in (self.collection, self.name) if part)

    @property
    def collection(self) -> str:
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{self.base}{inside}/{self.resource}"


def _where(path: str) -> _Where:
    parts = [unquote(part) for part in path.strip("/").split("/")]
    head = 2 if parts[0] == "api" else 3
    base, rest = "/" + "/".join(parts[:head]), parts[head:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource, name, sub, *_ = [*rest, "", "", ""]
    return _Where(base, namespace, resource, name, sub)


class FakeApi:
    """`objects` by path; `asked` is (method, path) of every request; `fail` answers all with that status.

    `secrets_read` are the paths by which secrets were read whole.
    """

    def __init__(self, host: str = "127.0.0.1", signer: Authority | None = None) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.after: list[Callable[[str, str], None]] = []
        self.secrets_read: list[str] = []
        self.fail = 0
        self.refuse: dict[tuple[str, str], int] = {}
        self.lock = threading.RLock()
        self.version = 0
        self.host = host
        self._server: ThreadingHTTPServer | None = None
        self._open: set[Any] = set()
        pair = signer.pair("kube-apiserver", host=f"api.{DOMAIN}") if signer else _pairs()[0]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(pair.certificate + pair.key)
            file.flush()
            self._context.load_cert_chain(file.name)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._context.load_verify_locations(cadata=authority().pem.decode())
        self.port = 0
        self.start()

    # the server

    def start(self) -> None:
        """Answer, on the same port as before."""
        api = self

        class Handler(_Handler):
            owner = api

        server = ThreadingHTTPServer((self.host, self.port), Handler)
        server.daemon_threads = True
        server.socket = self._context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and drop those that are open."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        with self.lock:
            for connection in list(self._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def where(self) -> dict[str, str]:
        """`api` of a document."""
        return {"url": f"https://api.{DOMAIN}:{self.port}", "address": self.host}

    def kubeconfig(self) -> str:
        """As the installer writes it."""
        admin = _pairs()[1]
        return "\n".join(
            [
                "clusters:",
                "- cluster:",
                f"    certificate-authority-data: {b64(authority().pem)}",
                f"    server: https://api.{DOMAIN}:{self.port}",
                "  name: okd",
                "contexts:",
                "- context:",
                "    cluster: okd",
                "    user: admin",
                "  name: admin",
                "current-context: admin",
                "preferences: {}",
                "users:",
                "- name: admin",
                "  user:",
                f"    client-certificate-data: {b64(admin.certificate)}",
                f"    client-key-data: {b64(admin.key)}",
                "",
            ]
        )

    # what it holds

    def add(self, path: str, **content: Any) -> Object:
        """Hold an object at `path`; its name and namespace come from there."""
        where = _where(path)
        metadata = {"name": where.name, **({"namespace": where.namespace} if where.namespace else {})}
        metadata |= content.pop("metadata", {})
        made = {"metadata": {"uid": f"uid-{len(self.objects)}-{time.monotonic_ns()}", **metadata}, **content}
        with self.lock:
            self._keep(path, made)
        return made

    def node(
        self,
        name: str,
        *,
        uuid: str = "",
        ready: bool | None = True,
        role: str = "compute",
        boot: str = "boot-1",
        message: str = "",
        **spec: Any,
    ) -> Object:
        """A Node by its machine's short name, whose kubelet has just renewed its lease; `ready` None is Unknown."""
        self.lease(name)
        labels = {"compute": {"worker": ""}, "control-plane": {"control-plane": "", "master": ""}}[role]
        status = {True: "True", False: "False", None: "Unknown"}[ready]
        return self.add(
            f"{NODES}/{name}.{DOMAIN}",
            metadata={"labels": {f"node-role.kubernetes.io/{label}": "" for label in labels}, "annotations": {}},
            spec=spec,
            status={
                "nodeInfo": {"systemUUID": uuid, "bootID": boot, "kubeletVersion": "v1.32.0"},
                "conditions": [{"type": "Ready", "status": status, "reason": "KubeletReady", "message": message}],
            },
        )

    def lease(self, name: str, age: float = 0.0) -> Object:
        """The lease of a node by its machine's short name, renewed `age` seconds ago."""
        renewed = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - age))
        return self.add(f"{LEASES}/{name}.{DOMAIN}", spec={"renewTime": renewed, "leaseDurationSeconds": 40})

    def request(self, name: str, pem: bytes, *, signer: str, user: str, groups: list[str], usages: list[str]) -> Object:
        """A certificate signing request as somebody filed it."""
        spec = {"request": b64(pem), "signerName": signer, "username": user, "groups": groups, "usages": usages}
        return self.add(f"{REQUESTS}/{name}", spec=spec, status={})

    def operator(self, name: str, *, available: bool = True, message: str = "", **conditions: bool) -> Object:
        """A ClusterOperator; `conditions` such as Progressing=True, Degraded=False."""
        states = {"Available": available, "Progressing": False, "Degraded": False, **conditions}
        return self.add(f"{OPERATORS}/{name}", status={"conditions": _conditions(states, message)})

    def cluster_version(self, version: str = "4.19.0", *, message: str = "", **conditions: bool) -> Object:
        """The ClusterVersion `version`; `conditions` such as Available=True, Progressing=False, Failing=False."""
        states = {"Available": True, "Progressing": False, "Failing": False, **conditions}
        done = "Completed" if states["Available"] else "Partial"
        history = [{"state": done, "version": version, "image": "example/release@sha256:00"}]
        status = {"desired": {"version": version}, "history": history, "conditions": _conditions(states, message)}
        return self.add(f"{VERSIONS}/version", spec={}, status=status)

    def etcd(self, **conditions: bool) -> Object:
        """The etcd operator's object; a condition that is not given is not there, as in a cluster that is young."""
        return self.add(ETCD, spec={}, status={"conditions": _conditions(conditions, "")})

    def config_map(self, namespace: str, name: str, **data: str) -> Object:
        return self.add(f"/api/v1/namespaces/{namespace}/configmaps/{name}", data=data)

    def secret(self, namespace: str, name: str, **data: bytes | str) -> Object:
        encoded = {key: b64(value) for key, value in data.items()}
        return self.add(f"/api/v1/namespaces/{namespace}/secrets/{name}", data=encoded)

    def get(self, path: str) -> Object:
        """A copy of what is at `path`."""
        with self.lock:
            return copy.deepcopy(self.objects[path])

    @contextmanager
    def change(self, path: str) -> Iterator[Object]:
        """Change what is at `path` as a controller would."""
        with self.lock:
            yield self.objects[path]
            self._keep(path, self.objects[path])

    def approval(self, name: str) -> str:
        """The type and reason of a request's condition; empty when it is pending."""
        conditions = self.get(f"{REQUESTS}/{name}")["status"].get("conditions") or []
        return " ".join(f"{one['type']} {one['reason']}" for one in conditions)

    def changes(self) -> list[str]:
        """Every request that was meant to change something, as `PATCH /api/v1/nodes/x`."""
        return [f"{method} {path}" for method, path in self.asked if method != "GET"]

    def _keep(self, path: str, made: Object) -> None:
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = made

    # what it answers

    def answer(self, method: str, target: str, body: Any, kind: str) -> tuple[int, Object | str]:
        split = urlsplit(target)
        path, query = split.path, dict(parse_qsl(split.query))
        with self.lock:
            self.asked.append((method, path))
            status = self.fail or self.refuse.get((method, path), 0)
            if status:
                return status, _status(status, "as the test asked for")
            if path in ("/readyz", "/livez", "/healthz"):
                return 200, "ok"
            if path == "/version":
                return 200, {"gitVersion": "v1.32.0+miniature"}
            done = self._answer(method, _where(path), query, body, kind)
        for then in self.after:
            then(method, path)
        return done

    def _answer(
        self, method: str, where: _Where, query: dict[str, str], body: Any, kind: str
    ) -> tuple[int, Object | str]:
        if method == "GET" and not where.name:
            return 200, {"kind": "List", "metadata": {"resourceVersion": str(self.version)}, "items": self._list(where)}
        if method == "POST" and not where.name:
            path = f"{where.collection}/{body['metadata']['name']}"
            if path in self.objects:
                return 409, _status(409, f"{path} already exists")
            self.add(path, **body)
            return 201, self.objects[path]
        found = self.objects.get(where.item)
        if found is None:
            return 404, _status(404, f'{where.resource} "{where.name}" not found')
        if method == "GET":
            return 200, found
        if method == "DELETE":
            return 200, self.objects.pop(where.item)
        if method == "PATCH":
            changed = _json_patched(found, body) if "json-patch" in kind else _merged(found, body)
        else:
            if body["metadata"].get("resourceVersion", "") not in ("", found["metadata"]["resourceVersion"]):
                return 409, _status(409, "the object has been modified")
            changed = dict(body)
        if where.sub in ("approval", "status"):
            # Such a sub-resource changes the status and nothing else.
            changed = {**found, "status": changed.get("status", {})}
        elif where.sub:
            return 404, _status(404, f"no sub-resource {where.sub}")
        self._keep(where.item, copy.deepcopy(changed))
        return 200, self.objects[where.item]

    def _list(self, where: _Where) -> list[Object]:
        found = []
        for path, one in sorted(self.objects.items()):
            own = _where(path)
            if (own.base, own.resource) == (where.base, where.resource) and where.namespace in ("", own.namespace):
                found.append(one)
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: FakeApi

    def setup(self) -> None:
        self.request.settimeout(PATIENCE_SECONDS)
        self.request.do_handshake()
        with self.owner.lock:
            self.owner._open.add(self.request)
        super().setup()

    def finish(self) -> None:
        super().finish()
        with self.owner.lock:
            self.owner._open.discard(self.request)

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        anonymous = not self.connection.getpeercert() and self.path not in ("/readyz", "/version")
        if anonymous:
            status, answer = 401, _status(401, "Unauthorized")
        else:
            status, answer = self.owner.answer(self.command, self.path, body, self.headers.get("Content-Type", ""))
        if self.command == "GET" and "PartialObjectMetadataList" in self.headers.get("Accept", ""):
            assert isinstance(answer, dict)
            answer = {**answer, "items": [{"metadata": one["metadata"]} for one in answer.get("items", [])]}
        elif self.command == "GET" and "/secrets" in self.path:
            self.owner.secrets_read.append(self.path)
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do

    def log_message(self, *arguments: Any) -> None:
        pass


def _status(code: int, message: str) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


def _conditions(states: dict[str, bool], message: str) -> list[Object]:
    return [{"type": kind, "status": str(state), "message": message} for kind, state in states.items()]


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    made = dict(old)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key, {}), value)
    return made


def _json_patched(old: Object, operations: list[Object]) -> Object:
    made = copy.deepcopy(old)
    for one in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        place = made
        for part in parents:
            place = place[part]
        if one["op"] == "remove":
            del place[last]
        else:
            place[last] = one["value"]
    return made


def write_set(directory: Path, api: FakeApi) -> None:
    """The set of the cluster that `api` is, as `okd-host ignition` leaves it in `directory`."""
    import hashlib

    own = _pairs()[0].certificate
    file = {"path": "/opt/openshift/tls/one.crt", "contents": {"source": f"data:;base64,{b64(own)}"}}
    contents = {"bootstrap.ign": json.dumps({"ignition": {"version": "3.2.0"}, "storage": {"files": [file]}})}
    for role in ("master", "worker"):
        contents[f"{role}.ign"] = pointer(role)
    record = {
        "generation": "first",
        "inputs": {},
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items()},
    }
    contents |= {"inputs.json": json.dumps(record), "auth/kubeconfig": api.kubeconfig()}
    contents |= {"auth/kubeadmin-password": "aaaaa-bbbbb-ccccc-ddddd"}
    for name, text in contents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)


def pointer(role: str, authority_text: str = "the-authority-of-the-machine-config-server") -> str:
    """An ignition config that points to the machine-config server."""
    security = {"tls": {"certificateAuthorities": [{"source": f"data:text/plain;base64,{b64(authority_text)}"}]}}
    source = f"https://api-int.{DOMAIN}:22623/config/{role}"
    return json.dumps(
        {"ignition": {"config": {"merge": [{"source": source}]}, "security": security, "version": "3.2.0"}}
    )
