"""A hypervisor, an upstream and a toolchain in a box, for a machine that has none of them.

Owns, for every program of the lab: which Python it takes. This file is read before any other, by whatever Python there
is, so it keeps to what an old one understands.
"""

import sys

MINIMUM_PYTHON = (3, 11)

if sys.version_info < MINIMUM_PYTHON:
    sys.stderr.write(
        f"FAILED: {sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}: too old; nothing was created\n"
        f"  to do: install Python {MINIMUM_PYTHON[0]}.{MINIMUM_PYTHON[1]} or newer (Debian 12 has it) and put it first "
        "on PATH, under the name python3\n"
    )
    sys.exit(1)
