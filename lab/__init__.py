"""A hypervisor, an upstream and a toolchain in a box, for a machine that has none of them.

Owns, for every program of the lab: which Python it takes. This file is read before any other, by whatever Python there
is, so it keeps to what an old one understands.
"""

import sys

MINIMUM_PYTHON = (3, 11)

if sys.version_info < MINIMUM_PYTHON:
    found, wanted = (".".join(map(str, version[:2])) for version in (sys.version_info, MINIMUM_PYTHON))
    sys.stderr.write(
        f"FAILED: {sys.executable} is Python {found}, which is too old; nothing was created or changed\n"
        f"  to do: install Python {wanted} or newer (Debian 12 has it), first on PATH as python3\n"
    )
    sys.exit(1)
