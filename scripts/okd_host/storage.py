"""storage: file system and mount of the registry's data volume.

Document: {"device": "/dev/vdb", "label", "mountPoint", "unit": the mount unit's name, "owner"}. The unit's file must
have been delivered. A volume that carries the label already is mounted as
it is: its content outlives the host. An empty one gets an ext4 file system. One with any other content is refused.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import Any

from okd_host import commands, files, limits, report, units

EMPTY = 1024 * 1024


def _signature(device: str) -> dict[str, str]:
    """What blkid finds on `device`, uncached; empty for none."""
    result = commands.run(["blkid", "--probe", "--output", "export", device])
    if result.code not in (0, 2):
        raise report.Failed(
            f"{device} cannot be read (exit {result.code})",
            message=result.output,
            remedy="look at `lsblk -f` on the services host",
        )
    return dict(line.partition("=")[::2] for line in result.output.splitlines())


def _wait(device: str, stages: report.Stages) -> None:
    said = 0.0
    while not os.path.exists(device):
        if stages.elapsed > limits.DEVICE.seconds:
            raise report.Failed(
                f"{device} did not appear in {limits.DEVICE.seconds:.0f} s",
                remedy="see whether the data volume is attached (virsh domblklist), then run the update again",
            )
        if stages.elapsed - said > 5:
            said = stages.elapsed
            stages.waiting(device)
        time.sleep(0.5)


def _format(device: str, label: str, stages: report.Stages) -> str:
    """Make the file system unless it is there; what was done."""
    found = _signature(device)
    if found.get("TYPE") == "ext4" and found.get("LABEL") == label:
        return f"{device} already holds {label}"
    # An own mkfs that was killed leaves neither signature nor zeros.
    started = os.path.join(files.STATE, f"{label}.formatting")
    with open(device, "rb") as disk:
        blank = not disk.read(EMPTY).strip(b"\0")
    if found or not (blank or os.path.exists(started)):
        what = ", ".join(f"{key}={found[key]}" for key in ("TYPE", "LABEL", "PTTYPE") if key in found)
        raise report.Failed(
            f"{device} holds something else ({what or 'unknown content'}): it is left alone",
            in_service="the volume as it was found",
            remedy=f"if nobody needs it: `sudo wipefs -a {device}`, overwrite its first MiB, then run the update again",
        )
    os.makedirs(files.STATE, exist_ok=True)
    files.write_now(started, b"")
    argv = ["mkfs.ext4", "-q", "-F", "-L", label, "-m", "0", device]
    units.must(argv, f"mkfs.ext4 on {device}", [], stages)
    os.unlink(started)
    return f"made {label} on {device}"


def _device_number(device: str) -> str:
    number = os.stat(device).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def _mounted(where: str) -> str:
    """The device number of what is mounted at `where`; empty for nothing."""
    with open("/proc/self/mountinfo") as file:
        rows = [line.split() for line in file]
    return next((row[2] for row in reversed(rows) if row[4] == where), "")


def _mount(device: str, name: str, where: str, stages: report.Stages) -> str:
    if _mounted(where) == _device_number(device):
        return f"{where} already mounted"
    os.makedirs(where, exist_ok=True)
    # systemd finds the device by its label, which udev has to see first.
    commands.run(["udevadm", "trigger", "--settle", device])
    units.must([*units.ENABLE, name], f"enabling {name}", [], stages)
    units.must(["systemctl", "start", "--", name], f"mount of {where}", [name], stages)
    if _mounted(where) != _device_number(device):
        raise report.Failed(
            f"{where} is not {device}",
            message=f"mounted there: {_mounted(where) or 'nothing'}; {device} is {_device_number(device)}",
            remedy=f"see `findmnt {where}` and `lsblk -f`: two volumes may carry the same label",
        )
    return f"mounted {where}"


def main(arguments: list[str], document: Any) -> None:
    """Bring the volume of `document` into service."""
    device, label, where, unit = (document[key] for key in ("device", "label", "mountPoint", "unit"))
    stages = report.Stages(["device", "file system", "mount"])
    with files.lock("storage", "storage"):
        with stages("device"):
            _wait(device, stages)
            stages.detail = device
        with stages("file system"):
            stages.detail = _format(device, label, stages)
        with stages("mount"):
            stages.detail = _mount(device, unit, where, stages)
            user = pwd.getpwnam(document["owner"])
            os.chown(where, user.pw_uid, user.pw_gid)
            os.chmod(where, 0o750)
            files.label([where])
