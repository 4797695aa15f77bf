"""The lab's stand-in for the internet: a small web server inside the lab's network namespace.

Owns: its address there, and one server process that serves .lab/images. Does not own: the files. It ends with the lab.
Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import time

from lab import checkout, namespaces
from lab.progress import StepFailed, say, tail

_INTERFACE = "upstream"
_SERVER = "lab.upstream.server"
_START_SECONDS = 20.0


def url() -> str:
    """Return the base URL at which everything in the lab reaches the server."""
    return f"http://{checkout.UPSTREAM_ADDRESS}:{checkout.UPSTREAM_PORT}"


def up() -> None:
    """Start the server in the lab's network namespace; does nothing when it runs."""
    if namespaces.named(_SERVER):
        say(f"upstream runs already: {url()}")
        return
    _address()
    log = checkout.LOGS / "upstream.log"
    argv = [sys.executable, "-m", _SERVER, checkout.UPSTREAM_ADDRESS, str(checkout.UPSTREAM_PORT), str(checkout.IMAGES)]
    child = namespaces.spawn(namespaces.join(argv, directory=checkout.ROOT), log)
    deadline = time.monotonic() + _START_SECONDS
    while not _answers():
        if child.poll() is not None or time.monotonic() > deadline:
            raise StepFailed(
                "the upstream web server did not start", tail(log), "python3 -m lab.upstream down, then up"
            )
        time.sleep(0.1)
    say(f"upstream started: {url()} serves {checkout.IMAGES}")


def down() -> None:
    """End the server; does nothing when it does not run."""
    ended = namespaces.end(namespaces.named(_SERVER))
    say("upstream ended" if ended else "no upstream ran")


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


def _answers() -> bool:
    probe = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"
    argv = [sys.executable, "-c", probe, checkout.UPSTREAM_ADDRESS, str(checkout.UPSTREAM_PORT)]
    return subprocess.run(namespaces.join(argv), capture_output=True).returncode == 0
