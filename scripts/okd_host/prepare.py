"""prepare: the host's first boot is finished, and its packages are installed.

Document: {"packages": the document of `packages`}. One verb, because a login and the start of an interpreter cost
seconds each on an emulated host.
"""

from __future__ import annotations

from typing import Any

from okd_host import packages, ready


def main(arguments: list[str], document: Any) -> None:
    """Wait for the first boot of this host, then install the packages of `document`."""
    ready.main([], {})
    packages.main([], document["packages"])
