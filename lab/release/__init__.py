"""The miniature release that the lab's upstream holds: real tools, a real release image, tiny images, a signature.

Owns: when it is made and what it consists of. It is cached by the hash of its inputs: the two tools, the boot image
that the installer's stream names, and the modules here. Does not own: serving it (lab.upstream). Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import checkout, image
from lab.cached import cached
from lab.progress import StepFailed, run
from lab.release import certificates, payload, tools
from lab.release.background import Building

REGISTRY_PORT = 5000
CLIENT_ARCHIVE = "openshift-client-linux.tar.gz"
_HERE = Path(__file__).parent
# The modules that decide what is in a release.
_MAKERS = ("assemble", "certificates", "images", "payload", "signing")


@dataclass(frozen=True)
class Release:
    """Where a release lies, and what it is called upstream."""

    directory: Path
    pull_spec: str
    digest: str
    version: str

    @property
    def storage(self) -> Path:
        """Return the registry's storage."""
        return self.directory / "storage"

    @property
    def web(self) -> Path:
        """Return what the web server serves: tools, signatures, boot."""
        return self.directory / "web"

    @property
    def ca(self) -> Path:
        """Return the certificate of the authority that signed the registry's."""
        return self.directory / "tls" / certificates.CA

    @property
    def certificate(self) -> Path:
        """Return the registry's certificate."""
        return self.directory / "tls" / certificates.CERTIFICATE

    @property
    def key(self) -> Path:
        """Return the key of the registry's certificate."""
        return self.directory / "tls" / certificates.KEY


def installer(stream: Mapping[str, Any] | None = None) -> Path:
    """Return the real installer; with `stream`, that one takes the place of its CoreOS stream."""
    return tools.installer(stream)


def oc() -> Path:
    """Return the real client, built if need be."""
    return tools.oc()


def installer_base() -> Path:
    """Return the real installer without its data files, built if need be."""
    return tools.installer_base()


def ignition_validator() -> Path:
    """Return the official judge of ignition configs (`ignition-validate FILE...`), built if need be."""
    return tools.ignition_validator()


def start() -> Building:
    """Build the two tools in the background, beside other stages; wait for them with `.wait()`."""
    return Building(tools.oc, tools.installer_base)


def build() -> Release:
    """Return the release, made (with the tools and the boot image) if it is not in the cache. Raises StepFailed."""
    image.build()
    stream = payload.stream(checkout.IMAGES / "boot", f"{web_url()}/boot")
    client, installer = tools.oc(), tools.installer(stream)
    inputs = [client.parent.name, installer.parent.name, *((_HERE / f"{name}.py").read_text() for name in _MAKERS)]
    key = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]

    def make(work: Path) -> None:
        certificates.make(work / "tls", checkout.UPSTREAM_ADDRESS)
        _assemble(work, client, installer)

    directory = cached(checkout.cache("release", key), "miniature release", make)
    made = json.loads((directory / "release.json").read_text())
    return Release(directory, made["pull_spec"], made["digest"], made["version"])


def web_url() -> str:
    """Return the base URL of the upstream's web server."""
    return f"http://{checkout.UPSTREAM_ADDRESS}:{checkout.UPSTREAM_PORT}"


def registry_address() -> str:
    """Return the upstream registry's address, as pull specs have it."""
    return f"{checkout.UPSTREAM_ADDRESS}:{REGISTRY_PORT}"


def _assemble(work: Path, client: Path, installer: Path) -> None:
    """Fill `work` from within namespaces of its own: there the upstream's address is free, and nothing outlives it."""
    words = [str(work), registry_address(), f"{web_url()}/{payload.SIGNATURES}", str(client), str(installer)]
    words.append(str((checkout.IMAGES / "boot").absolute()))
    isolated = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--"]
    log = checkout.LOGS / "release.log"
    try:
        run([*isolated, sys.executable, "-m", "lab.release.assemble", *words], log=log, cwd=checkout.ROOT)
    except StepFailed as error:
        remedy = error.remedy or "run as root on a machine (or in a privileged container) that allows new namespaces"
        raise StepFailed("the miniature release could not be made", error.last_lines, remedy) from error
