"""Stand-ins for `oc` and `openshift-install`: scripts that take a release's name and address as the real ones do.

Owns: what makes `oc adm release extract --command=…` put them in. For tests that need a release within seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# As long as the real programs have them: what is put in has to fit.
_PLACES = (("IMAGE", 300), ("VERSION", 64), ("ARCHITECTURE", 64))

_INSTALLER = """#!/bin/sh
# Stand-in for openshift-install (the lab's tests): knows its release, its stream and nothing else.
place() { tr '\\0' '\\n' <"$0" | sed -n "s/^$1: //p" | head -n 1; }
case "$*" in
version)
    echo "$0 $(place VERSION)"
    echo "built from commit 0000000000000000000000000000000000000000"
    echo "release image $(place IMAGE)"
    echo "release architecture $(place ARCHITECTURE)"
    ;;
"coreos print-stream-json") sed -n 's/^STREAM: //p' "$0" ;;
*) echo "stand-in for openshift-install: not done here: $*" >&2; exit 1 ;;
esac
exit
"""

_CLIENT = """#!/bin/sh
# Stand-in for oc (the lab's tests): knows its release and nothing else.
place() { tr '\\0' '\\n' <"$0" | sed -n "s/^$1: //p" | head -n 1; }
case "$1" in
version) echo "Client Version: $(place VERSION)" ;;
*) echo "stand-in for oc: not done here: $*" >&2; exit 1 ;;
esac
exit
"""


def installer(stream: Mapping[str, Any] | None = None) -> bytes:
    """Return a script that answers `version` and `coreos print-stream-json` as the installer does."""
    return _INSTALLER.encode() + f"STREAM: {json.dumps(stream or {})}\n".encode() + _places()


def client() -> bytes:
    """Return a script that answers `version`."""
    return _CLIENT.encode() + _places()


def _places() -> bytes:
    lines = [
        f"{name}: ".encode() + b"\0_RELEASE_%s_LOCATION_\0" % name.encode() + b"X" * size + b"\0\n"
        for name, size in _PLACES
    ]
    return b"".join(lines)
