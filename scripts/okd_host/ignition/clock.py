"""Whether this host's clock can be trusted with making certificates.

Owns what chrony says of it, and a comparison with certificates that another machine's clock made. Certificates of a
clock that is ahead are not valid yet for machines whose clock is right, which shows much later and far away.
"""

from __future__ import annotations

import shutil
import time

from okd_host import report
from okd_host.commands import run
from okd_host.ignition.certificates import moment, validities

WAIT = 60.0
PAUSE = 2.0
OFFSET = 1.0
LOCAL = "7F7F0101"
REFERENCE, NAME, STRATUM, SYSTEM_OFFSET, LEAP = 0, 1, 2, 4, 13


def check(trust: str, stages: report.Stages) -> str:
    """Say what the clock goes by. Raises Failed when it is not synchronised or contradicts certificates in `trust`."""
    now = time.time()
    for validity in validities(trust.encode()):
        if not validity.made <= now < validity.expiry:
            raise report.Failed(
                f"by this host's clock it is {moment(now)}, when a certificate of the trust bundle is not valid",
                message=f"valid from {moment(validity.made)} to {moment(validity.expiry)}",
                in_service="what was published before",
                remedy="correct the clock of the services host (date; chronyc tracking) and of the machine that runs "
                "Pulumi, or renew that certificate",
            )
    if not shutil.which("chronyc"):
        return f"{moment(now)}, chrony is not installed"
    said = 0.0
    while True:
        state, synchronised = _tracking()
        if synchronised:
            return f"{moment(time.time())}, {state}"
        if stages.elapsed > WAIT:
            raise report.Failed(
                f"this host's clock is not synchronised after {WAIT:.0f} s: {state}",
                message=run(["chronyc", "-n", "sources"]).output,
                in_service="what was published before",
                remedy="look at `chronyc sources` and `systemctl status chrony chronyd` on the services host; name "
                "time servers that it reaches in the settings",
            )
        if stages.elapsed - said > 5:
            said = stages.elapsed
            stages.waiting(f"the clock: {state}")
        time.sleep(PAUSE)


def _tracking() -> tuple[str, bool]:
    answer = run(["chronyc", "-c", "-n", "tracking"], limit=10)
    fields = answer.output.split(",")
    if answer.code or len(fields) <= LEAP:
        return f"chrony does not answer ({report.tail(answer.output, 1)})", False
    if fields[LEAP] == "Not synchronised":
        return "no time server has answered yet", False
    offset = abs(float(fields[SYSTEM_OFFSET]))
    if fields[REFERENCE] == LOCAL:
        return "by its own clock (no time server answers)", True
    return f"{offset:.3f} s off {fields[NAME]} (stratum {fields[STRATUM]})", offset < OFFSET
