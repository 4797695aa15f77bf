"""The project's virtual environment.

Owns: `.venv`, filled from requirements-dev.txt (which includes requirements.txt); every version is pinned there.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

from lab.checkout import LOGS, ROOT
from lab.progress import run

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
_STAMP = VENV / "requirements.sha256"
_FILES = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")


def up() -> None:
    """Create the environment where it is missing and install what the requirements changed. Raises StepFailed."""
    wanted = _wanted()
    if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == wanted:
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
    run(
        [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", _FILES[1]],
        step="installing Python packages into .venv",
        log=log,
        append=True,
        remedy="allow pip to reach PyPI or a mirror of it (pip's own settings and PIP_INDEX_URL are honoured)",
    )
    _STAMP.write_text(wanted)


def status() -> list[tuple[str, str]]:
    """Say whether the environment is as the requirements want it."""
    if not PYTHON.exists():
        return [("venv", "missing")]
    fresh = _STAMP.exists() and _STAMP.read_text() == _wanted()
    return [("venv", f"{PYTHON}{'' if fresh else ' (requirements changed)'}")]


def _works() -> bool:
    """Tell whether the environment's interpreter still runs: an upgraded Python leaves a broken one."""
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0


def _wanted() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()
