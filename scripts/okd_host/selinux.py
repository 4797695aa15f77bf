"""SELinux: what a service's files and ports need before its daemon may use them.

Owns the local policy (booleans, port types, file types) of a bundle, added in one transaction. Does nothing where
SELinux is not enabled. Labels themselves are set by `files.label`, from the policy.
"""

from __future__ import annotations

import os
import re

from okd_host import files, report, units
from okd_host.bundle import Bundle


def statements(bundle: Bundle) -> list[str]:
    """The bundle's rows in the language of `semanage import`; adding what is there modifies it."""
    rows = [f"boolean -m -1 {name}" for name in bundle.selinux.booleans]
    rows += [f"port -a -t {kind} -p {protocol} {port}" for port, protocol, kind in bundle.selinux.ports]
    rows += [f"fcontext -a -f a -t {file.selinux} '{re.escape(file.path)}'" for file in bundle.files if file.selinux]
    return rows


def admit(bundle: Bundle, stages: report.Stages) -> None:
    """Add what the bundle needs to the local policy. Raises Failed with semanage's message."""
    rows = statements(bundle)
    if not rows or not os.path.exists(files.SELINUX):
        return
    path = os.path.join(files.private_directory(os.path.join(files.STAGE, bundle.service)), "selinux")
    files.write_now(path, "".join(f"{row}\n" for row in rows).encode())
    units.must(["semanage", "import", "-f", path], "semanage import", [], stages)
    os.unlink(path)
