"""Whether this host's clock can be trusted with making certificates.

Owns what chrony says of it, and a comparison with certificates that another machine's clock made. Certificates of a
clock that is ahead are not valid yet for machines whose clock is right, which shows much later and far away.
"""

from __future__ import annotations

import shutil
import time

from okd_host import limits, report
from okd_host.commands import run
from okd_host.ignition.certificates import Validity, moment, validities

PAUSE = 2.0
OFFSET = 1.0
TOLERANCE = 300.0
LOCAL = "7F7F0101"
REFERENCE, NAME, STRATUM, SYSTEM_OFFSET, LEAP = 0, 1, 2, 4, 13
REACH = 5


def check(trust: str, stages: report.Stages) -> str:
    """Say what the clock goes by. Raises Failed when it is not synchronised or contradicts certificates in `trust`."""
    now = time.time()
    contradicted = _contradicted(trust, now)
    if contradicted:
        raise report.Failed(
            f"by this host's clock it is {moment(now)}, when a certificate of the trust bundle is not valid",
            message=f"valid from {moment(contradicted.made)} to {moment(contradicted.expiry)}",
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
        if stages.elapsed > limits.CLOCK.seconds:
            raise report.Failed(
                f"this host's clock is not synchronised after {limits.CLOCK.seconds:.0f} s: {state}",
                message=run(["chronyc", "-n", "sources"]).output,
                in_service="what was published before",
                remedy="look at `chronyc sources` and `systemctl status chrony chronyd` on the services host; name "
                "time servers that it reaches in the settings",
            )
        if stages.elapsed - said > 5:
            said = stages.elapsed
            stages.waiting(f"the clock: {state}")
        time.sleep(PAUSE)


def _contradicted(trust: str, now: float) -> Validity | None:
    """A certificate that is not valid yet; or expired, when all are: a bundle may hold some that expired long ago."""
    try:
        known = validities(trust.encode())
    except ValueError:
        return None  # the installer reads it too, and says more
    early = [row for row in known if row.made > now + TOLERANCE]
    late = [row for row in known if row.expiry <= now]
    return next(iter(early or (late if len(late) == len(known) else [])), None)


def _tracking() -> tuple[str, bool]:
    fields = run(["chronyc", "-c", "-n", "tracking"]).output.split(",")
    if len(fields) <= LEAP:
        return f"chrony does not answer ({report.tail(','.join(fields), 1)})", False
    if fields[LEAP] == "Not synchronised":
        return "no time server has answered yet", False
    if fields[REFERENCE] == LOCAL:
        # It serves its own time at once, also while it makes up its mind about servers that answer.
        reached = [row for row in run(["chronyc", "-c", "-n", "sources"]).output.splitlines() if _reach(row)]
        if reached:
            return "time servers answer, and none is followed yet", False
        return "by its own clock (no time server answers)", True
    offset = abs(float(fields[SYSTEM_OFFSET]))
    return f"{offset:.3f} s off {fields[NAME]} (stratum {fields[STRATUM]})", offset < OFFSET


def _reach(row: str) -> bool:
    fields = row.split(",")
    return len(fields) > REACH and fields[REACH] != "0"
