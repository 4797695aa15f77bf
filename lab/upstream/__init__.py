"""The lab's stand-in for the internet: a web server and a registry inside the lab's network namespace.

Owns: their address there, one process each, and publishing the miniature release: the registry serves its storage (over
TLS, read-only), the web server .lab/images, where the release's files are linked beside the images. Does not own: the
release (lab.release) and the images (lab.image). Both processes end with the lab. Standard library only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from cluster import limits
from lab import checkout, namespaces, release
from lab.progress import StepFailed, say, tail
from lab.release import registry

DIRECTORY = checkout.LAB / "upstream"
CA = DIRECTORY / "ca.crt"
_LINKED = ("tools", "signatures")
_INTERFACE = "upstream"
_SERVER = "lab.upstream.server"
_REMEDY = "python3 -m lab.upstream down, then up"


def url() -> str:
    """Return the base URL at which everything in the lab reaches the web server."""
    return release.web_url()


def up() -> None:
    """Start both servers in the lab's network namespace; does nothing when they run and serve the current release."""
    made = release.build()
    _publish(made)
    _address()
    _web()
    _registry(made)


def down() -> None:
    """End both servers; does nothing when they do not run."""
    ended = namespaces.end([*namespaces.named(_SERVER), *namespaces.named(registry.PROGRAM)])
    say("upstream ended" if ended else "no upstream ran")


def _publish(made: release.Release) -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made.ca, CA)
    checkout.IMAGES.mkdir(parents=True, exist_ok=True)
    for name in _LINKED:
        fresh = checkout.IMAGES / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(made.web / name)
        fresh.rename(checkout.IMAGES / name)


def _web() -> None:
    if namespaces.named(_SERVER):
        say(f"upstream runs already: {url()}")
        return
    port = str(checkout.UPSTREAM_PORT)
    argv = [sys.executable, "-m", _SERVER, checkout.UPSTREAM_ADDRESS, port, str(checkout.IMAGES)]
    _start(argv, checkout.UPSTREAM_PORT, "the upstream web server", checkout.LOGS / "upstream.log")
    say(f"upstream started: {url()} serves {checkout.IMAGES}")


def _registry(made: release.Release) -> None:
    address = release.registry_address()
    wanted = registry.configuration(made.storage, address, made.certificate, made.key, read_only=True)
    path = DIRECTORY / "registry.json"
    if running := namespaces.named(registry.PROGRAM):
        if path.exists() and path.read_text() == wanted:
            say(f"upstream registry runs already: {address}")
            return
        say("upstream registry serves another release, starting it anew")
        namespaces.end(running)
    path.write_text(wanted)
    if not shutil.which(registry.PROGRAM):
        raise StepFailed(f"{registry.PROGRAM} is not installed", remedy=f"apt-get install {registry.PROGRAM}")
    log = checkout.LOGS / "upstream-registry.log"
    _start([registry.PROGRAM, "serve", str(path)], release.REGISTRY_PORT, "the upstream registry", log)
    say(f"upstream registry started: {made.pull_spec} ({made.digest}), verified with {CA}")


def _start(argv: list[str], port: int, what: str, log: Path) -> None:
    child = namespaces.spawn(namespaces.join(argv, directory=checkout.ROOT), log)
    deadline = time.monotonic() + limits.LAB_DAEMON.seconds
    while not _answers(port):
        if child.poll() is not None or time.monotonic() > deadline:
            raise StepFailed(f"{what} did not start", tail(log), _REMEDY)
        time.sleep(0.1)


def _address() -> None:
    # A bridge without ports: a card of kind `dummy` would be plainer, but not every kernel has it.
    if _ip("link", "show", _INTERFACE).returncode:
        _ip("link", "add", _INTERFACE, "type", "bridge", check=True)
    _ip("address", "replace", f"{checkout.UPSTREAM_ADDRESS}/32", "dev", _INTERFACE, check=True)
    _ip("link", "set", _INTERFACE, "up", check=True)


def _ip(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(namespaces.join(["ip", *words]), capture_output=True, text=True)
    if check and done.returncode:
        raise StepFailed(f"ip {' '.join(words)}", done.stderr.splitlines(), "python3 -m lab.hypervisor down, then up")
    return done


def _answers(port: int) -> bool:
    probe = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"
    argv = [sys.executable, "-c", probe, checkout.UPSTREAM_ADDRESS, str(port)]
    return subprocess.run(namespaces.join(argv), capture_output=True).returncode == 0
