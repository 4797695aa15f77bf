"""A miniature release in a registry: tiny images, a release image made by the real `oc`, and its signature.

Owns: which images there are and that each says it is miniature; parametric in the registry, so that a test gets one of
its own within seconds. Does not own: the registry, the programs inside (stand-ins unless given).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from cluster import limits
from lab.progress import StepFailed
from lab.release import signing, standin
from lab.release.images import Files, Image, PushFailed, Registry, basic

VERSION = "4.19.0-okd-scos.0"
RELEASE_REPOSITORY = "okd/scos-release"
CONTENT_REPOSITORY = "okd/scos-content"
LABEL = "io.okd-libvirt.miniature"
SIGNATURES = "signatures/openshift/release"
COREOS = "9.0.20250222-0"
# Names as in a real payload; nothing of the real ones is inside.
TINY = ("coredns", "etcd", "haproxy-router", "machine-config-operator", "oauth-server")


@dataclass(frozen=True)
class Payload:
    """A release that has been pushed: by tag, by digest, and the digests of its images by name."""

    pull_spec: str
    digest: str
    version: str
    images: Mapping[str, str]
    signature: Path

    @property
    def by_digest(self) -> str:
        """Return the pull spec that pins the release."""
        return f"{self.pull_spec.rpartition(':')[0]}@{self.digest}"


def make(
    registry: str,
    into: Path,
    *,
    oc: Path,
    cli: Path | bytes | None = None,
    installer: Path | bytes | None = None,
    version: str = VERSION,
    ca: Path | None = None,
    login: tuple[str, str] | None = None,
    signatures: str | None = None,
    filler: int = 0,
    release_repository: str = RELEASE_REPOSITORY,
    content_repository: str = CONTENT_REPOSITORY,
) -> Payload:
    """Push a release to `registry` (host:port; with `ca` over TLS, else plain HTTP) and sign it below `into`.

    `oc` is the program that makes the release. `signatures` is the URL under which `into`/signatures/openshift/release
    will be found, by default a file:// one. `filler` adds that many incompressible bytes to each tiny image.
    """
    into.mkdir(parents=True, exist_ok=True)
    store = signatures or (into / SIGNATURES).resolve().as_uri()
    pull_spec = f"{registry}/{release_repository}:{version}"
    with signing.key() as key, tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        content = _images(version, key.public, store, installer or standin.installer(), cli or standin.client(), filler)
        pusher = Registry(registry, ca, login)
        try:
            pushed = {image.name: pusher.push(content_repository, image) for image in content}
        except (PushFailed, OSError) as error:
            raise StepFailed(
                f"the release's images cannot be pushed: {error}", remedy="see the registry's log"
            ) from error
        (work / "stream.json").write_text(json.dumps(_stream(version, f"{registry}/{content_repository}", pushed)))
        digest = _new(oc, work, pull_spec, version, sorted(pushed), ca, login)
        (into / "release-key.asc").write_text(key.public)
        signature = into / SIGNATURES / digest.replace(":", "=") / "signature-1"
        key.sign(work / "statement.json", signature)
    return Payload(pull_spec, digest, version, pushed, signature)


def stream(boot: Path, url: str) -> dict[str, Any]:
    """Return a CoreOS stream that names the miniature boot image, whose files and SHA256SUMS lie in `boot`."""
    lines = (boot / "SHA256SUMS").read_text().splitlines()
    sums = {name: sum for sum, name in (line.split() for line in lines)}
    files = {name: {"location": f"{url}/{name}", "sha256": sums[name]} for name in ("kernel", "initramfs", "rootfs")}
    metal = {"release": COREOS, "formats": {"pxe": files}}
    return {
        "stream": "c9s",
        "metadata": {"last-modified": "2025-02-26T04:24:24Z", "generator": "lab.release (miniature)"},
        "architectures": {"x86_64": {"artifacts": {"metal": metal}, "images": {}}},
    }


def _images(
    version: str, public: str, store: str, installer: Path | bytes, cli: Path | bytes, filler: int
) -> list[Image]:
    base = {
        "etc/os-release": f'ID=miniature\nPRETTY_NAME="Miniature release image (lab)"\nVERSION_ID={version}\n',
    }
    labels = {LABEL: "true"}
    operator = {**labels, "io.openshift.release.operator": "true"}
    system = {
        **labels,
        "io.openshift.build.versions": f"machine-os={COREOS}",
        "io.openshift.build.version-display-names": "machine-os=Miniature CoreOS (lab)",
    }
    random = Random(version)
    own: dict[str, Files] = {
        name: {f"usr/share/{name}/README": f"{name}: miniature\n"} for name in ("machine-os-content", "pod", *TINY)
    }
    if filler:
        own = {name: {**files, f"usr/share/{name}/filler": random.randbytes(filler)} for name, files in own.items()}
    manifests = {
        "manifests/image-references": json.dumps({"kind": "ImageStream", "apiVersion": "image.openshift.io/v1"}),
        "manifests/0000_00_cluster-version-operator_01_verification.json": json.dumps(_verification(public, store)),
    }
    return [
        Image("cluster-version-operator", (base, manifests), operator),
        Image("cli", (base, {"usr/bin/oc": cli}), labels),
        Image("installer", (base, {"usr/bin/openshift-install": installer}), labels),
        Image("machine-os-content", (base, own["machine-os-content"]), system),
        Image("pod", (base, own["pod"]), labels, ("amd64", "arm64")),
        *(Image(name, (base, own[name]), labels) for name in TINY),
    ]


def _verification(public: str, store: str) -> dict[str, object]:
    """Whom a cluster that runs this release trusts, and where it looks for signatures."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "release-verification",
            "namespace": "openshift-config-managed",
            "annotations": {
                "release.openshift.io/verification-config-map": "",
                "include.release.openshift.io/self-managed-high-availability": "true",
            },
        },
        "data": {"verifier-public-key-lab": public, "store-lab": store},
    }


def _stream(version: str, repository: str, images: Mapping[str, str]) -> dict[str, object]:
    tags = [
        {"tag": name, "items": [{"image": digest, "dockerImageReference": f"{repository}@{digest}"}]}
        for name, digest in images.items()
    ]
    return {
        "kind": "ImageStream",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": version},
        "status": {"publicDockerImageRepository": repository, "tags": tags},
    }


def _new(
    oc: Path,
    work: Path,
    pull_spec: str,
    version: str,
    names: list[str],
    ca: Path | None,
    login: tuple[str, str] | None,
) -> str:
    """Let oc make the release image; return its digest. The statement to sign is left in `work`."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work)}
    metadata = {"description": "miniature release of the lab: real tools, tiny images, no cluster"}
    argv = [
        *(str(oc), "adm", "release", "new", f"--from-image-stream-file={work / 'stream.json'}"),
        *(f"--name={version}", f"--to-image={pull_spec}", f"--include={','.join(names)}"),
        *("--keep-manifest-list", f"--to-signature={work / 'statement.json'}"),
        f"--metadata={json.dumps(metadata)}",
    ]
    if login:
        known = {"auths": {pull_spec.partition("/")[0]: {"auth": basic(login)}}}
        secret = work / "auth.json"
        secret.touch(mode=0o600)
        secret.write_text(json.dumps(known))
        argv.append(f"--registry-config={secret}")
    if ca:
        environment["SSL_CERT_FILE"] = str(ca)
    else:
        argv.append("--insecure")
    done = subprocess.run(
        argv, cwd=work, env=environment, capture_output=True, text=True, timeout=limits.LAB_TOOL.seconds
    )
    told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode:
        raise StepFailed("oc adm release new", told[-15:], "see the lines above")
    statement = json.loads((work / "statement.json").read_text())
    return str(statement["critical"]["image"]["docker-manifest-digest"])
