"""What tests of several tiers share: the stacks that the repository ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
UPSTREAM_CA = ROOT / "tests" / "upstream-ca.crt"
STACK_FILES = {
    "dev": ROOT / "Pulumi.dev.yaml",
    "prod": ROOT / "Pulumi.prod.yaml",
    "hard-way": ROOT / "examples" / "Pulumi.hard-way.yaml",
}


def stack_config(stack: str) -> dict[str, Any]:
    """The settings of a shipped stack as plain values, without the project's prefix.

    The authority of the lab's upstream is made with the lab: a certificate of the tests takes its place.
    """
    document = yaml.safe_load(STACK_FILES[stack].read_text())
    config = {key.removeprefix("okd-libvirt:"): value for key, value in document["config"].items()}
    release = config.get("release", {})
    if release.get("trustedCertificates"):
        release["trustedCertificates"] = [str(UPSTREAM_CA)]
    return config


@pytest.fixture(params=sorted(STACK_FILES))
def shipped_stack(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Each stack file of the repository in turn: its name and its settings."""
    return request.param, stack_config(request.param)
