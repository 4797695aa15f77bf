"""The identity of a services host image."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import pulumi


class ImageError(pulumi.RunError):
    """The services host image cannot be used; the message, shown without a traceback, says what to do."""


@functools.cache
def image_digest(location: str, declared: str | None) -> str:
    """SHA-256 (hex) that identifies the image at `location`.

    A local file is read and compared with `declared` when that is given. A URL is identified by `declared`, else by
    the URL itself: without `services.image.sha256` new content behind the same URL goes unnoticed.

    Raises:
        ImageError: the file is missing or does not have the declared digest.
    """
    if "://" in location:
        return declared or hashlib.sha256(location.encode()).hexdigest()
    path = Path(location)
    if not path.is_file():
        raise ImageError(
            f"services.image.location={location}: no such file on this machine, so the services host would have no "
            "disk. In the lab `make image` builds it; elsewhere give the path or URL of a Debian 12 cloud image."
        )
    with path.open("rb") as image:
        digest = hashlib.file_digest(image, "sha256").hexdigest()
    if declared and digest != declared:
        raise ImageError(
            f"services.image.sha256={declared}: {location} has sha256 {digest}, so it is not the image that was "
            "reviewed. Fetch it again, or correct the setting."
        )
    return digest
