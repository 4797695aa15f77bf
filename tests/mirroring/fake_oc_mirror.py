#!/usr/bin/python3
"""oc-mirror as far as its command line goes: notes how it was called, and copies with skopeo what the test wrote down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

names = ("OCP_SIGNATURE_URL", "OCP_SIGNATURE_VERIFICATION_PK", "REGISTRY_AUTH_FILE", "SSL_CERT_FILE", "HOME")
config = next(word.partition("=")[2] for word in sys.argv if word.startswith("--config="))
auth = next(word.partition("=")[2] for word in sys.argv if word.startswith("--authfile="))
called = {
    "argv": sys.argv[1:],
    "environment": {name: os.environ.get(name, "") for name in names},
    "imageSet": json.loads(Path(config).read_text()),
    "key": Path(os.environ["OCP_SIGNATURE_VERIFICATION_PK"]).read_text(),
}
with Path("/run/oc-mirror-calls").open("a") as file:
    file.write(json.dumps(called) + "\n")
for line in Path("/run/oc-mirror-plan").read_text().splitlines():
    source, target = line.split()
    argv = [
        "skopeo",
        "copy",
        "--all",
        "--preserve-digests",
        f"--authfile={auth}",
        f"docker://{source}",
        f"docker://{target}",
    ]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
# It says what a cluster needs, by its documentation, below the workspace.
said = Path("/run/oc-mirror-says")
if said.is_dir():
    workspace = next(word.partition("=file://")[2] for word in sys.argv if word.startswith("--workspace="))
    folder = Path(workspace, "working-dir", "cluster-resources")
    folder.mkdir(parents=True)
    for file in said.iterdir():
        (folder / file.name).write_text(file.read_text())
