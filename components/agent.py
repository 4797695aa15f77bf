"""The installer of the host agent: a shell script that carries `scripts/okd_host/` to the services host."""

from __future__ import annotations

from pathlib import Path

from components.host_command import AGENT

SOURCE = Path(__file__).resolve().parent.parent / "scripts" / "okd_host"
LIBRARY = "/usr/local/lib/okd-libvirt"
END = "END_OF_OKD_HOST_FILE"


def installer(source: Path = SOURCE) -> str:
    """A script for `/bin/sh -s` that installs the agent; readable, so that a preview's diff shows what changes.

    The new version is written beside the old one and swapped in by rename: an interrupted run leaves a whole agent.
    """
    lines = [
        "set -eu",
        "umask 022",
        f"new={LIBRARY}.new.$$",
        "trap 'rm -rf \"$new\"' EXIT",
    ]
    for path in sorted(source.rglob("*.py")):
        relative = Path("okd_host") / path.relative_to(source)
        lines += [
            f'mkdir -p "$new/{relative.parent}"',
            f"cat > \"$new/{relative}\" <<'{END}'",
            path.read_text().removesuffix("\n"),
            END,
        ]
    lines += [
        'python3 -m compileall -q "$new"',
        f"rm -rf {LIBRARY}.old",
        f"if [ -e {LIBRARY} ]; then mv {LIBRARY} {LIBRARY}.old; fi",
        f'mv "$new" {LIBRARY}',
        f"rm -rf {LIBRARY}.old",
        f"cat > {AGENT}.new <<'{END}'",
        "#!/bin/sh",
        f'PYTHONPATH={LIBRARY} exec python3 -m okd_host "$@"',
        END,
        f"chmod 0755 {AGENT}.new",
        f"mv {AGENT}.new {AGENT}",
        f'echo "host agent installed in {LIBRARY}"',
    ]
    return "\n".join(lines) + "\n"
