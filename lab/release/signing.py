"""Signs a release the way real ones are: an atomic container signature, inside an OpenPGP message.

Owns: a key that lives for one release and whose private half is thrown away with it. Does not own: who trusts it
(the release carries the public half in its verification ConfigMap).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster import limits
from lab.progress import StepFailed

OWNER = "Miniature release of the lab (no one else's) <release@lab.example>"


class Key:
    """A signing key in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        # RSA: the Go library that verifies releases knows no Ed25519.
        self._run("--passphrase", "", "--quick-generate-key", OWNER, "rsa3072", "sign", "never")
        self.public = self._run("--armor", "--export").decode()

    def sign(self, statement: Path, to: Path) -> None:
        """Write the signed message that holds the statement (not a detached signature: stores serve one file)."""
        to.parent.mkdir(parents=True, exist_ok=True)
        self._run("--yes", "--digest-algo", "SHA256", "--output", str(to), "--sign", str(statement))

    def _run(self, *words: str) -> bytes:
        argv = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"]
        done = subprocess.run([*argv, *words], capture_output=True, env=_plain(), timeout=limits.LAB_TOOL.seconds)
        if done.returncode:
            last = done.stderr.decode(errors="replace").splitlines()[-5:]
            raise StepFailed("gpg did not make the release's signature", last, "apt-get install gnupg")
        return done.stdout


@contextmanager
def key() -> Iterator[Key]:
    """Make a key, and remove it and its agent afterwards."""
    if not shutil.which("gpg"):
        raise StepFailed("gpg is not installed", remedy="apt-get install gnupg")
    # Directly below /tmp: the agent's socket lies in it, and a socket's path has 108 bytes at most.
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    try:
        yield Key(home)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], capture_output=True, env=_plain())
        while home.exists():
            # An agent that ends takes its sockets away itself, perhaps just before they are removed here.
            with suppress(FileNotFoundError):
                shutil.rmtree(home)


def _plain() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
