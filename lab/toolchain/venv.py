"""The project's virtual environment.

Owns: `.venv`, filled from requirements.txt, and from requirements-dev.txt (which includes it) where checks and tests
are to run; every version is pinned there. The packages are fetched once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from lab.cached import cached
from lab.checkout import LOGS, ROOT, cache
from lab.progress import run

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# The files name everything, so there is nothing to work out; what is imported is compiled then.
_QUICK = ("--disable-pip-version-check", "--quiet", "--no-deps")
_FILES = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")


def up(*, tests: bool = False) -> None:
    """Create the environment where it is missing and install what the requirements changed. Raises StepFailed."""
    file = _FILES[tests]
    if PYTHON.exists() and _fresh(file):
        return
    log = LOGS / "venv.log"
    if not _works():
        shutil.rmtree(VENV, ignore_errors=True)
        run(
            [sys.executable, "-m", "venv", VENV],
            step="making the virtual environment .venv",
            log=log,
            remedy="on Debian: apt-get install python3-venv",
        )
    kept = ("--no-index", "--find-links", _packages(file))
    run(
        [PYTHON, "-m", "pip", "install", *_QUICK, "--no-compile", *kept, "-r", file],
        step="installing Python packages into .venv",
        log=log,
        append=True,
    )
    for one in _FILES[: 1 + tests]:
        _stamp(one).write_text(_wanted(one))


def status() -> list[tuple[str, str]]:
    """Say whether the environment is as the requirements want it."""
    if not PYTHON.exists():
        return [("venv", "missing")]
    if not _fresh(_FILES[0]):
        return [("venv", f"{PYTHON} (requirements changed)")]
    return [("venv", f"{PYTHON}{'' if _fresh(_FILES[1]) else ' (without what checks and tests need)'}")]


def _packages(file: Path) -> Path:
    """What a requirements file names, as wheels for this interpreter: asking an index takes most of pip's time."""
    interpreter = f"{sys.version} {platform.machine()} {platform.libc_ver()}"

    def fetch(place: Path) -> None:
        run(
            [PYTHON, "-m", "pip", "wheel", *_QUICK, "--wheel-dir", place, "-r", file],
            step="fetching Python packages",
            log=LOGS / "venv.log",
            append=True,
            remedy="allow pip to reach PyPI or a mirror of it (pip's own settings and PIP_INDEX_URL are honoured)",
        )

    key = hashlib.sha256(f"{_wanted(file)} {interpreter}".encode()).hexdigest()[:16]
    return cached(cache("packages", key), "Python packages", fetch, announce=False)


def _works() -> bool:
    """Tell whether the environment's interpreter still runs: an upgraded Python leaves a broken one."""
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0


def _fresh(file: Path) -> bool:
    return _stamp(file).exists() and _stamp(file).read_text() == _wanted(file)


def _stamp(file: Path) -> Path:
    return VENV / f"{file.stem}.sha256"


def _wanted(file: Path) -> str:
    """The hash of a requirements file and of those that it includes."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in _FILES[: 1 + _FILES.index(file)])).hexdigest()
