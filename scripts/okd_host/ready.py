"""ready: wait until the host's first boot is finished, keep cloud-init out of later ones, print the operating system.

Document: {}. Reads what cloud-init leaves under /run/cloud-init; asking `cloud-init status` would start a second
interpreter. A seed counts for one disk, so that cloud-init has nothing to do at later boots; and Debian has it before
the basic system, which firewalld waits for, and after the network, which waits for firewalld. With firewalld installed
systemd breaks that cycle by leaving out any of its units, the network or D-Bus among them.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any

from okd_host import files, limits, report

RUN = "/run/cloud-init"
PROGRAM = "/usr/bin/cloud-init"
# cloud-init's own switch. The firewall's bundle holds the same file, for hosts that an older agent made ready.
DISABLED = "/etc/cloud/cloud-init.disabled"
DISABLED_TEXT = "okd-libvirt: the first boot is finished, and at later ones cloud-init would stand in firewalld's way\n"


def _finished() -> list[str] | None:
    """cloud-init's errors once it is done; None while it works."""
    with suppress(FileNotFoundError), open(f"{RUN}/result.json") as file:
        return list(json.load(file)["v1"]["errors"])
    absent = not os.path.exists(PROGRAM)
    return [] if absent or os.path.exists(f"{RUN}/disabled") else None


def operating_system() -> str:
    """The operating system as `debian-12`."""
    with open("/etc/os-release") as file:
        known = dict(line.rstrip().partition("=")[::2] for line in file if "=" in line)
    return "-".join(known[key].strip('"') for key in ("ID", "VERSION_ID") if key in known)


def main(arguments: list[str], document: Any) -> None:
    """Wait for the first boot to finish, and let cloud-init rest from then on."""
    stages = report.Stages(["ready"])
    with stages("ready"):
        said = 0.0
        while (errors := _finished()) is None:
            if stages.elapsed > limits.FIRST_BOOT.seconds:
                raise report.Failed(
                    f"cloud-init is not done after {limits.FIRST_BOOT.seconds:.0f} s",
                    remedy="read /var/log/cloud-init.log on the services host",
                )
            if stages.elapsed - said > 5:
                said = stages.elapsed
                stages.waiting("cloud-init")
            time.sleep(0.5)
        if errors:
            raise report.Failed(
                "cloud-init finished with errors",
                message="\n".join(errors),
                remedy="read /var/log/cloud-init.log on the services host, correct the cause and rebuild the host",
            )
        if os.path.exists(PROGRAM) and not os.path.exists(DISABLED):
            # Before any package brings firewalld: a host that is switched off from here on comes up again.
            files.write_now(DISABLED, DISABLED_TEXT.encode())
        stages.detail = f"first boot finished, {operating_system()}"
