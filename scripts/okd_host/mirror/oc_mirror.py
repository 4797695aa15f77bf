"""The engine oc-mirror (v2): its arguments and environment.

Owns the image set file, the release's own keys and signature store for it. Does not own what is in the image set: the
document says that. Written from its documentation; whether everything arrived is asked of the registry afterwards.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Sequence

from okd_host import report
from okd_host.mirror import catalogs, payload, places
from okd_host.mirror.job import Job
from okd_host.mirror.payload import Release

PROGRAM = "/usr/local/bin/oc-mirror"
WORKSPACE = "oc-mirror"
# Whose keys a cluster with this release trusts, and where signatures are kept.
CONFIG_MAP = "release.openshift.io/verification-config-map"
STORE = re.compile(r"^\s*\"?store-[^:\"]+\"?\s*:\s*\"?(https?://[^\s\",]+)", re.MULTILINE)
KEY = re.compile(r"[ \t]*-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


def argv(job: Job, auth: str, image_set: str) -> list[str]:
    """Straight from the upstream to the mirror registry; credentials are in a file."""
    return [
        PROGRAM,
        "--v2",
        f"--config={image_set}",
        f"--authfile={auth}",
        f"--workspace=file://{places.path(WORKSPACE)}",
        f"--cache-dir={places.path(WORKSPACE, 'cache')}",
        f"docker://{job.host}",
    ]


def trusted(texts: Sequence[str]) -> tuple[str, str]:
    """Store of signatures and public key, of the first manifest that says them; empty when none does."""
    for text in texts:
        if CONFIG_MAP in text:
            # In JSON the lines of a key are one string.
            plain = text.replace("\\n", "\n")
            store, key = STORE.search(text), KEY.search(plain)
            return (store.group(1) if store else "", textwrap.dedent(key.group(0)) + "\n" if key else "")
    return "", ""


def prepare(job: Job, release: Release) -> tuple[list[str], dict[str, str]]:
    """Arguments, and what to add to the environment. Raises Failed when there is no oc-mirror or no image set."""
    if not os.access(PROGRAM, os.X_OK):
        raise report.Failed(
            "there is no oc-mirror on the services host",
            file=PROGRAM,
            in_service="what was mirrored before",
            remedy=f"put oc-mirror at {PROGRAM}, or set release.engine to oc in the settings",
        )
    if not job.document.get("imageSet"):
        raise report.Failed("the document lacks imageSet", remedy="the engine oc-mirror needs it; see --help")
    os.makedirs(places.path(WORKSPACE, "cache"), exist_ok=True)
    catalogs.forget()
    image_set = places.path(WORKSPACE, "imageset.yaml")
    # JSON is YAML.
    places.write(image_set, json.dumps(job.document["imageSet"], indent=1).encode() + b"\n", 0o600)
    texts = payload.manifests(
        release.source, release.digest, architecture=job.release["architecture"], fetch=job.origin.fetch
    )
    store, key = trusted(texts)
    more = {"OCP_SIGNATURE_URL": store.rstrip("/") + "/"} if store else {}
    if key:
        place = places.path(WORKSPACE, "release-key.asc")
        places.write(place, key.encode(), 0o644)
        more["OCP_SIGNATURE_VERIFICATION_PK"] = place
    return argv(job, job.auth, image_set), more
