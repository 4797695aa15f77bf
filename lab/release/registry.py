"""The upstream's registry: Debian's docker-registry on a directory, for as long as a release is made or served.

Owns: its configuration. Does not own: where it runs, and what is in its storage.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import limits
from lab.progress import StepFailed, tail

PROGRAM = "docker-registry"


def configuration(
    storage: Path, address: str, certificate: Path | None = None, key: Path | None = None, *, read_only: bool = False
) -> str:
    """Return the registry's configuration (JSON, which is YAML too)."""
    http: dict[str, object] = {"addr": address}
    if certificate:
        http["tls"] = {"certificate": str(certificate), "key": str(key)}
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(storage)},
                "maintenance": {"readonly": {"enabled": read_only}, "uploadpurging": {"enabled": False}},
            },
            "http": http,
        },
        indent=1,
    )


@contextmanager
def serving(storage: Path, address: str, work: Path) -> Iterator[str]:
    """Run a registry over plain HTTP that takes what is pushed; `work` takes its configuration and log."""
    config, log = work / "registry.json", work / "registry.log"
    config.write_text(configuration(storage, address))
    with log.open("wb") as output:
        try:
            child = subprocess.Popen([PROGRAM, "serve", config], stdout=output, stderr=output)
        except FileNotFoundError as error:
            raise StepFailed(f"{PROGRAM} is not installed", remedy=f"apt-get install {PROGRAM}") from error
    try:
        deadline = time.monotonic() + limits.LAB_DAEMON.seconds
        while not _answers(address):
            if child.poll() is not None or time.monotonic() > deadline:
                raise StepFailed(f"{PROGRAM} did not start on {address}", tail(log), "see the lines above")
            time.sleep(0.05)
        yield address
    finally:
        child.terminate()
        child.wait()


def _answers(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{address}/v2/", timeout=limits.PORT.seconds) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
