"""Files that settings name on the machine that runs Pulumi.

Owns how their paths are resolved: relative ones from the project's directory. Does not own what is in them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from cluster.values import refused, written

PROJECT = Path(__file__).resolve().parent.parent


def project_path(value: Any) -> str:
    """A path on the machine that runs Pulumi."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or "\n" in text or re.match(r"[a-z]+://", text):
        raise refused("not a path on the machine that runs Pulumi", "write a path, relative to the project or absolute")
    return text


def resolved(path: str, directory: Path) -> Path:
    """Where a path of the settings lies; `~` is the user's home."""
    return directory / Path(path).expanduser()


ProjectPath = Annotated[str, BeforeValidator(project_path), written("path on this machine", r"^(?![a-z]+://)[^\n]+$")]
