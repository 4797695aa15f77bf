"""The first oc: unpacked, started with an environment of its own, watched and tried again.

Owns that no secret is in its arguments, that it dies with its parent, the progress lines and the patience with a
network that fails in passing. Does not own what it is asked to copy.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from okd_host import report
from okd_host.mirror import places, trouble

PROGRESS = 5.0
PR_SET_PDEATHSIG = 1
PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Oc(NamedTuple):
    """How to start an `oc`: its path, files with the credentials and the certificates it trusts, a home."""

    program: str
    auth: str
    bundle: str
    home: str

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Nothing of the caller's environment but the way out; a home of its own."""
        os.makedirs(self.home, mode=0o700, exist_ok=True)
        own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        own.update(PATH=os.environ.get("PATH", "/usr/bin:/bin"), LC_ALL="C", HOME=self.home, TMPDIR=self.home)
        # Over HTTP/2 all blobs share one connection: a fifth slower here, and each loss of it is a loss for all.
        own.update(SSL_CERT_FILE=self.bundle, REGISTRY_AUTH_FILE=self.auth, GODEBUG="http2client=0", **(more or {}))
        return own


class Ended(NamedTuple):
    """How a program ended and what it said."""

    code: int
    output: str


def unpack(archive: str) -> str:
    """Unpack `oc` from the downloaded archive, unless that was done with this very file; its path."""
    target, mark = places.path("first", "oc"), places.path("first", "unpacked.json")
    try:
        found = os.stat(archive)
    except OSError as error:
        raise report.Failed(
            "the archive with oc is not on this host",
            file=archive,
            message=str(error),
            remedy="run the update: it fetches release.client first",
        ) from error
    known = [found.st_size, found.st_mtime_ns, found.st_ino]
    if os.path.exists(target) and places.recall(mark) == known:
        return target
    os.makedirs(os.path.dirname(target), exist_ok=True)
    new = f"{target}.new"
    try:
        with tarfile.open(archive) as packed:
            member = next(one for one in packed if os.path.basename(one.name) == "oc" and one.isfile())
            reader = packed.extractfile(member)
            with open(new, "wb") as file:
                shutil.copyfileobj(reader, file, 1024 * 1024)  # type: ignore[arg-type]
    except (StopIteration, tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise report.Failed(
            "oc cannot be unpacked",
            file=archive,
            message=str(error) or "the archive has no file oc",
            remedy="set release.client in the settings to an archive such as openshift-client-linux-VERSION.tar.gz",
        ) from error
    os.chmod(new, 0o755)
    os.rename(new, target)
    places.remember(mark, known)
    return target


def run(
    argv: Sequence[str], environment: Mapping[str, str], heartbeat: Callable[[], None], cwd: str | None = None
) -> Ended:
    """Run `argv` to its end, calling `heartbeat` every few seconds."""
    import ctypes

    # A run that is killed must not leave an oc behind that copies beside the next run's. Looked up before the fork.
    prctl = ctypes.CDLL(None).prctl
    with os.fdopen(os.memfd_create("output"), "r+b") as output:
        try:
            process = subprocess.Popen(
                argv,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        except OSError as error:
            return Ended(127, f"{argv[0]}: {error.strerror}")
        try:
            while True:
                try:
                    code = process.wait(PROGRESS)
                    break
                except subprocess.TimeoutExpired:
                    heartbeat()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return Ended(code, output.read().decode(errors="replace").strip())


def worst(output: str) -> str:
    """The lines of oc's output that say what went wrong."""
    lines = [line for line in output.splitlines() if line.startswith(("error:", "warning: ", "Error", " error"))]
    errors = [line for line in lines if "error" in line.split(":")[0].lower()]
    return "\n".join((errors or lines or output.splitlines())[-8:])


def patiently(
    once: Callable[[int], Ended],
    gained: Callable[[], int],
    attempts: int,
    *,
    what: str,
    diagnose: Callable[[str], tuple[trouble.Trouble, str]],
) -> Ended:
    """Run `once` until it succeeds, pausing longer each time that nothing was gained.

    `once` is given how often it failed without gain; `gained` counts what is there. `diagnose` says what a message
    means and at which registry. Raises Failed.
    """
    failures, before = 0, gained()
    while True:
        ended = once(failures)
        if ended.code == 0:
            return ended
        message = worst(ended.output)
        found, host = diagnose(message)
        now = gained()
        failures = 1 if now > before else failures + 1
        before = now
        if not found.passing or failures >= attempts:
            raise trouble.failed(what, message, host, trouble=found)
        pause = min(2.0 ** (failures - 1), 60.0)
        why = found.why.format(host=host)
        report.say(f"  {why}; again in {pause:.0f} s (try {failures + 1} of {attempts})")
        report.say(f"    {message.splitlines()[-1][:300] if message else ''}")
        time.sleep(pause)
