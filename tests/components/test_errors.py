"""Errors that a user can mend are shown as messages, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from components.image import image_digest


def test_a_missing_image_ends_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match=r"services\.image\.location.*no such file.*make image"):
        image_digest(str(tmp_path / "none.qcow2"), None)


def test_another_image_than_declared_ends_in_a_message(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(b"another")
    with pytest.raises(pulumi.RunError, match=r"services\.image\.sha256.*not the image that was reviewed"):
        image_digest(str(image), "0" * 64)
