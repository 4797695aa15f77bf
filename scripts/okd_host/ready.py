"""ready: wait until the host's first boot is finished, and print its operating system.

Document: {}. Reads what cloud-init leaves under /run/cloud-init; asking `cloud-init status`
would start a second interpreter.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any

from okd_host import limits, report

RUN = "/run/cloud-init"


def _finished() -> list[str] | None:
    """cloud-init's errors once it is done; None while it works."""
    with suppress(FileNotFoundError), open(f"{RUN}/result.json") as file:
        return list(json.load(file)["v1"]["errors"])
    absent = not os.path.exists("/usr/bin/cloud-init")
    return [] if absent or os.path.exists(f"{RUN}/disabled") else None


def operating_system() -> str:
    """The operating system as `debian-12`."""
    with open("/etc/os-release") as file:
        known = dict(line.rstrip().partition("=")[::2] for line in file if "=" in line)
    return "-".join(known[key].strip('"') for key in ("ID", "VERSION_ID") if key in known)


def main(arguments: list[str], document: Any) -> None:
    """Wait for the first boot to finish."""
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
        stages.detail = f"first boot finished, {operating_system()}"
