"""A release of a few small images, put together by the real `oc adm release new`.

The images are written straight into a registry's storage; only the release image is pushed, by oc itself.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

UPSTREAM = "upstream.example:5000"
VERSION = "4.19.0-okd-scos.0"
SPEC = f"{UPSTREAM}/okd/scos-release:{VERSION}"
CONTENT = "okd/scos-content"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
# The marks that oc replaces while it extracts; the reader cannot tell it from a compiled program.
VERSION_MARK = b"\0_RELEASE_VERSION_LOCATION_\0" + b"X" * 64 + b"\0"
IMAGE_MARK = b"\0_RELEASE_IMAGE_LOCATION_\0" + b"X" * 300 + b"\0"
PROGRAM = (
    b"""#!/bin/sh
echo "$(basename $0) $(sed -n '/^version:/s/.*://p' $0 | tr -s '\\0' '\\n' | head -n 1)"
echo "release image $(sed -n '/^image:/s/^image://p' $0 | tr -s '\\0' '\\n' | head -n 1)"
exit 0
version:"""
    + VERSION_MARK
    + b"\nimage:"
    + IMAGE_MARK
    + b"\n"
)


STORE = "http://signatures.example:8080/openshift/release"


def verification(public: str) -> str:
    """Whom a cluster with this release trusts, as OKD's own releases say it."""
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: keys
  namespace: openshift-config-managed
  annotations:
    release.openshift.io/verification-config-map: ""
data:
  store-tiny: {STORE}
  verifier-public-key-tiny: |
{textwrap.indent(public, "    ")}"""


def statement(digest: str) -> str:
    """What the signature of a release signs."""
    return json.dumps(
        {
            "critical": {
                "image": {"docker-manifest-digest": digest},
                "type": "atomic container signature",
                "identity": {"docker-reference": SPEC},
            },
            "optional": {"creator": "test"},
        }
    )


class Image(NamedTuple):
    """An image in the upstream's storage."""

    digest: str
    blobs: tuple[str, ...]


class Storage:
    """A registry's storage on disk, in distribution's own layout."""

    def __init__(self, root: Path) -> None:
        self.root = root / "docker/registry/v2"

    def blob(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        path = self.root / "blobs/sha256" / name[:2] / name / "data"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"sha256:{name}"

    def _link(self, repository: str, below: str, digest: str) -> None:
        path = self.root / "repositories" / repository / below / digest.replace(":", "/") / "link"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(digest)

    def manifest(self, repository: str, document: dict[str, Any], layers: list[str]) -> str:
        digest = self.blob(json.dumps(document).encode())
        self._link(repository, "_manifests/revisions", digest)
        for layer in layers:
            self._link(repository, "_layers", layer)
        return digest

    def image(self, repository: str, layers: list[bytes], labels: dict[str, str]) -> Image:
        """Store an image of `layers` (tar archives)."""
        rows, diffs = [], []
        for layer in layers:
            packed = gzip.compress(layer, compresslevel=1, mtime=0)
            rows.append({"mediaType": LAYER, "size": len(packed), "digest": self.blob(packed)})
            diffs.append(f"sha256:{hashlib.sha256(layer).hexdigest()}")
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": {"Labels": labels},
                "rootfs": {"type": "layers", "diff_ids": diffs},
            }
        ).encode()
        row = {"mediaType": CONFIG, "size": len(config), "digest": self.blob(config)}
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": row, "layers": rows}
        blobs = [row["digest"], *[r["digest"] for r in rows]]
        return Image(self.manifest(repository, document, blobs), tuple(blobs))

    def list_of(self, repository: str, child: Image) -> Image:
        """Store a manifest list with one image of it."""
        name = child.digest.partition(":")[2]
        size = (self.root / "blobs/sha256" / name[:2] / name / "data").stat().st_size
        row = {"mediaType": MANIFEST, "size": size, "digest": child.digest}
        row["platform"] = {"architecture": "amd64", "os": "linux"}
        document = {"schemaVersion": 2, "mediaType": LIST, "manifests": [row]}
        return Image(self.manifest(repository, document, []), child.blobs)


def archive(entries: dict[str, bytes]) -> bytes:
    """A tar archive of executable files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def noise(seed: int, size: int) -> bytes:
    """Content that does not compress, always the same."""
    return random.Random(seed).randbytes(size)


def images(storage: Storage, layer: int, public: str) -> dict[str, Image]:
    """The payload: five images on one base layer, one of them a manifest list."""
    base = archive({"etc/base": noise(0, layer)})
    operator = {"manifests/0000_00_keys.yaml": verification(public).encode()}
    found = {
        "cluster-version-operator": storage.image(
            CONTENT, [base, archive(operator)], {"io.openshift.release.operator": "true"}
        ),
        "cli": storage.image(CONTENT, [base, archive({"usr/bin/oc": PROGRAM, "usr/share/noise": noise(1, layer)})], {}),
        "installer": storage.image(CONTENT, [base, archive({"usr/bin/openshift-install": PROGRAM})], {}),
        "machine-os-content": storage.image(CONTENT, [base, archive({"os": noise(2, layer)})], {}),
    }
    found["pod"] = storage.list_of(CONTENT, storage.image(CONTENT, [base, archive({"pod": noise(3, layer)})], {}))
    return found


def stream(found: dict[str, Image]) -> dict[str, Any]:
    """The image stream that `oc adm release new` reads."""
    repository = f"{UPSTREAM}/{CONTENT}"
    tags = [
        {
            "tag": name,
            "items": [
                {
                    "created": "2026-01-01T00:00:00Z",
                    "dockerImageReference": f"{repository}@{image.digest}",
                    "image": image.digest,
                    "generation": 1,
                }
            ],
        }
        for name, image in found.items()
    ]
    return {
        "kind": "ImageStream",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": "tiny"},
        "status": {"publicDockerImageRepository": repository, "tags": tags},
    }
