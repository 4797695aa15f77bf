"""A services host with a real mirror registry and a real upstream, in namespaces of the test's own."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab.release import signing
from tests.mirroring import tiny_release
from tests.mirroring.tiny_release import SPEC, UPSTREAM, Image, Storage
from tests.scripts.host import Host

HERE = Path(__file__).resolve().parent
MIRROR = "services.okd.lab.example:5000"
PASSWORD = "wOrd-of-the-mirror"
UPSTREAM_PASSWORD = "wOrd-of-the-upstream"
RELEASE = "/var/lib/okd-registry/okd-libvirt"
STORAGE = "/var/lib/okd-registry"
BLOBS = f"{STORAGE}/docker/registry/v2/blobs/sha256"
REGISTRY = """\
version: "0.1"
log: {{level: info}}
storage:
    filesystem: {{rootdirectory: {root}}}
    cache: {{blobdescriptor: inmemory}}
    delete: {{enabled: true}}
http:
    addr: {address}
    secret: none
    tls: {{certificate: /run/tls/{name}.crt, key: /run/tls/{name}.key}}
auth:
    htpasswd: {{realm: test, path: /run/tls/{name}.htpasswd}}
"""
CERTIFICATES = """
set -e
mkdir -p "$1" && cd "$1"
for ca in ca upstream-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.crt \
        -addext keyUsage=critical,keyCertSign 2>/dev/null
done
sign() {
    openssl req -newkey rsa:2048 -nodes -subj /CN=$3 -keyout $1.key -out $1.csr 2>/dev/null
    printf "subjectAltName=DNS:$3" > extensions
    openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -days 2 -extfile extensions -out $1.crt \
        2>/dev/null
}
sign mirror ca services.okd.lab.example
sign upstream upstream-ca upstream.example
: > index; echo 01 > serial
printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\n[p]\\nCN=supplied\\n' > ca.conf
openssl ca -batch -config ca.conf -cert upstream-ca.crt -keyfile upstream-ca.key -in upstream.csr -extfile extensions \
    -startdate 20400101000000Z -enddate 20410101000000Z -out future.crt 2>/dev/null
cp upstream.key future.key
"""


def credentials(user: str, password: str) -> dict[str, str]:
    import base64

    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


PULL_SECRET = json.dumps(
    {"auths": {MIRROR: credentials("okd", PASSWORD), UPSTREAM: credentials("reader", UPSTREAM_PASSWORD)}}
)


class World(Host):
    """The host, its mirror registry and the upstream; `faults` puts an unreliable proxy in front of the latter."""

    def __init__(self, made: Path) -> None:
        super().__init__()
        self.made = made
        self.sh(f"cp -r {made}/tls /run/tls")
        self.sh(
            "printf '127.0.0.3 services.okd.lab.example\\n127.0.0.2 upstream.example\\n127.0.0.2 signatures.example\\n' >> /etc/hosts"
        )
        for name, user, password in (("mirror", "okd", PASSWORD), ("upstream", "reader", UPSTREAM_PASSWORD)):
            self.run("sh", "-c", f"htpasswd -niB -C 5 {user} > /run/tls/{name}.htpasswd", stdin=password)
        self.sh(f"mkdir -p {STORAGE} /etc/mirror && cp /run/tls/ca.crt /etc/mirror/ca.crt")
        self.sh(f"mkdir -p {RELEASE}/downloads && ln -s {made}/oc.tar.gz {RELEASE}/downloads/oc.tar.gz")
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.secret(PULL_SECRET)

    def close(self) -> None:
        super().close()
        for process in self.daemons.values():
            process.wait()

    def secret(self, text: str) -> dict[str, str]:
        """Keep a pull secret as the program does; how a document names it."""
        self.agent("secrets", "release", document={"pull-secret": text})
        return {"secret": "pull-secret", "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def registry(self, name: str, address: str, root: str, certificate: str = "") -> None:
        """Start a registry."""
        config = REGISTRY.format(root=root, address=f"{address}:5000", name=name)
        if certificate:
            config = config.replace(f"/{name}.crt", f"/{certificate}.crt").replace(
                f"/{name}.key", f"/{certificate}.key"
            )
        self.write(f"/etc/{name}.yml", config)
        self.daemon(name, f"docker-registry serve /etc/{name}.yml")
        self.eventually(f"ss -ltn | grep {address}:5000")

    def mirror(self) -> World:
        self.registry("mirror", "127.0.0.3", STORAGE)
        return self

    def upstream(self, certificate: str = "") -> World:
        self.registry("upstream", "127.0.0.2", str(self.made / "upstream"), certificate)
        self.signatures(str(self.made / "web"))
        return self

    def signatures(self, root: str) -> None:
        """Serve the store of signatures."""
        self.daemon("signatures", f"/usr/bin/python3 -m http.server 8080 --bind 127.0.0.2 --directory {root}")
        self.eventually("ss -ltn | grep 127.0.0.2:8080")

    def daemon(self, name: str, command: str) -> None:
        """Start `command`; its log goes to /run/NAME.log."""
        argv = ["sh", "-c", f"echo $$ > /run/{name}.pid; exec {command} >> /run/{name}.log 2>&1"]
        self.daemons[name] = subprocess.Popen(self.argv(argv))

    def stop(self, name: str) -> None:
        self.sh(f"kill -9 $(cat /run/{name}.pid)")
        self.daemons.pop(name).wait()

    def frozen(self, name: str) -> str:
        """The shell command that stops a daemon where it is."""
        return f"kill -STOP $(cat /run/{name}.pid)"

    def thaw(self, name: str) -> None:
        """Let it go on; nsenter stops itself with what it started."""
        self.sh(f"kill -CONT $(cat /run/{name}.pid)")
        self.daemons[name].send_signal(signal.SIGCONT)

    def faults(self, mode: str, *arguments: str) -> None:
        """Reach the upstream through a proxy that misbehaves."""
        self.daemon("proxy", f"/usr/bin/python3 {HERE}/faulty_proxy.py {mode} {' '.join(arguments)}")
        self.eventually("ss -ltn | grep 127.0.0.1:5000")
        self.sh("sed 's/127.0.0.2 upstream/127.0.0.1 upstream/' /etc/hosts > /run/hosts; cat /run/hosts > /etc/hosts")

    def no_faults(self) -> None:
        self.stop("proxy")
        self.sh("sed 's/127.0.0.1 upstream/127.0.0.2 upstream/' /etc/hosts > /run/hosts; cat /run/hosts > /etc/hosts")

    def document(self, **changes: Any) -> dict[str, Any]:
        """The document of the verb `mirror`."""
        return {
            "release": {"image": SPEC, "digest": None, "version": None, "architecture": "x86_64"},
            "sources": [f"{UPSTREAM}/okd/scos-release", f"{UPSTREAM}/okd/scos-content"],
            "registry": MIRROR,
            "releaseRepository": "okd/scos-release",
            "contentRepository": "okd/scos-content",
            "images": [],
            "engine": "oc",
            "imageSet": None,
            "archive": f"{RELEASE}/downloads/oc.tar.gz",
            "trust": [self.read("/run/tls/upstream-ca.crt")],
            "registryCa": "/etc/mirror/ca.crt",
            "storage": STORAGE,
            "pullSecret": {"secret": "pull-secret", "sha256": hashlib.sha256(PULL_SECRET.encode()).hexdigest()},
            "attempts": 5,
            "media": None,
            "units": {"registry": "docker-registry.service"},
            **changes,
        }

    def verb(self, verb: str, document: Any) -> tuple[dict[str, Any], str]:
        """Run a verb that must succeed: its result and what it printed."""
        done = self.agent(verb, document=document)
        assert done.returncode == 0, done.stdout + done.stderr
        last = done.stdout.splitlines()[-1]
        assert last.startswith("result: ")
        assert PASSWORD not in done.stdout + done.stderr
        return json.loads(last.partition(" ")[2]), done.stdout

    def refused(self, verb: str, document: Any) -> str:
        """Run a verb that must fail: what it said."""
        done = self.agent(verb, document=document)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "remedy:" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def uploads(self) -> dict[str, int]:
        """How often the mirror took each blob: uploads finished, by digest."""
        counted: dict[str, int] = {}
        pattern = re.compile(
            r'"PUT /v2/\S+/blobs/uploads/\S*digest=(sha256%3A|sha256:)([0-9a-f]{64})\S* HTTP/[0-9.]+" 201'
        )
        for line in self.read("/run/mirror.log").splitlines():
            if found := pattern.search(line):
                counted[found[2]] = counted.get(found[2], 0) + 1
        return counted

    def starts(self) -> int:
        """How often the first oc was started."""
        return len(self.run("sh", "-c", "cat /run/oc-starts 2>/dev/null", check=False).splitlines())


def build(made: Path, oc: Path, layer: int = 3_000_000) -> dict[str, Any]:
    """Make certificates, the upstream's storage with the tiny release, and the archive with oc, all in `made`."""
    subprocess.run(["sh", "-c", CERTIFICATES, "sh", str(made / "tls")], check=True)
    # Says that it was started, so that a test can count.
    (made / "oc").write_text(f'#!/bin/sh\necho "$@" >> /run/oc-starts\nexec {oc} "$@"\n')
    (made / "oc").chmod(0o755)
    subprocess.run(["tar", "-C", str(made), "-czf", str(made / "oc.tar.gz"), "oc"], check=True)
    storage = Storage(made / "upstream")
    with signing.key() as key:
        found: dict[str, Image] = tiny_release.images(storage, layer, key.public)
        extra = storage.image("extra/tool", [tiny_release.archive({"tool": tiny_release.noise(9, 100_000)})], {})
        (made / "stream.json").write_text(json.dumps(tiny_release.stream(found)))
        (made / "web").mkdir()
        _new(made, oc, sorted(found))
        digest = _pushed(made)
        (made / "statement").write_text(tiny_release.statement(digest))
        place = made / "web/openshift/release" / digest.replace(":", "=") / "signature-1"
        key.sign(made / "statement", place)
    return {"digest": digest, "images": found, "extra": extra, "key": key.public}


def _pushed(made: Path) -> str:
    """The digest of the release image in the upstream."""
    tag = made / f"upstream/docker/registry/v2/repositories/okd/scos-release/_manifests/tags/{tiny_release.VERSION}"
    return (tag / "current/link").read_text()


def _new(made: Path, oc: Path, names: list[str]) -> None:
    """Make the release image and push it."""
    world = World(made)
    try:
        world.upstream()
        world.write("/run/auth.json", PULL_SECRET)
        argv = ["env", "SSL_CERT_FILE=/run/tls/upstream-ca.crt", str(oc), "adm", "release", "new"]
        argv += ["--registry-config=/run/auth.json", f"--from-image-stream-file={made}/stream.json"]
        argv += [f"--include={','.join(names)}", f"--name={tiny_release.VERSION}", f"--to-image={SPEC}"]
        sys.stdout.write(world.run(*argv))
    finally:
        world.close()
