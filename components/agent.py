"""The installer of the host agent: a shell script that carries `scripts/okd_host/` to the services host.

Owns that the script is small: as the files' text it was two thirds of all that a preview handed to the engine, and of
a stack's state. One line a file, with its digest, tells a preview's diff what changes.
"""

from __future__ import annotations

import base64
import bz2
import hashlib
import json
from pathlib import Path

from components.host_command import AGENT

SOURCE = Path(__file__).resolve().parent.parent / "scripts" / "okd_host"
LIBRARY = "/usr/local/lib/okd-libvirt"
WIDTH = 120
END = "END_OF_OKD_HOST_FILE"
UNPACK = """\
import base64, bz2, json, pathlib, sys
for name, text in json.loads(bz2.decompress(base64.b64decode(sys.stdin.read()))).items():
    path = pathlib.Path(sys.argv[1], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
"""


def installer(source: Path = SOURCE) -> str:
    """A script for `/bin/sh -s` that installs the agent.

    The new version is written beside the old one and swapped in by rename: an interrupted run leaves a whole agent.
    """
    files = {f"okd_host/{path.relative_to(source)}": path.read_text() for path in sorted(source.rglob("*.py"))}
    # Of all compressions the one whose result is the same everywhere: another would look like a change.
    packed = base64.b64encode(bz2.compress(json.dumps(files).encode())).decode()
    lines = [
        "set -eu",
        "umask 022",
        f"new={LIBRARY}.new.$$",
        "trap 'rm -rf \"$new\"' EXIT",
        *(f"# {name} {hashlib.sha256(text.encode()).hexdigest()[:16]}" for name, text in files.items()),
        f"python3 -c '{UNPACK}' \"$new\" <<'{END}'",
        *(packed[begin : begin + WIDTH] for begin in range(0, len(packed), WIDTH)),
        END,
        f"cat > \"$new/okd-host.py\" <<'{END}'",
        "import os",
        "import sys",
        "",
        "from okd_host.__main__ import main",
        "",
        "# The interpreter's own flush at exit would complain when the reader is gone.",
        "os._exit(main(sys.argv[1:]))",
        END,
        'python3 -m compileall -q "$new"',
        f"rm -rf {LIBRARY}.old",
        f"if [ -e {LIBRARY} ]; then mv {LIBRARY} {LIBRARY}.old; fi",
        f'mv "$new" {LIBRARY}',
        f"rm -rf {LIBRARY}.old",
        f"cat > {AGENT}.new <<'{END}'",
        "#!/bin/sh",
        # Neither site-packages nor runpy: half of what Python's start costs.
        f'exec python3 -E -S {LIBRARY}/okd-host.py "$@"',
        END,
        f"chmod 0755 {AGENT}.new",
        f"mv {AGENT}.new {AGENT}",
        f'echo "host agent installed in {LIBRARY}"',
    ]
    return "\n".join(lines) + "\n"
