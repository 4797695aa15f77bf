"""Can /dev/kvm run an unmodified operating system here? Asked of the device, not of its file name."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_CREATE_VCPU = 0xAE41
_API_VERSION = 12


def problem(device: str = "/dev/kvm", cpuinfo: str = "/proc/cpuinfo") -> str | None:
    """Return why KVM can not be used, or None when it can.

    A machine may offer /dev/kvm and even create virtual CPUs without hardware virtualisation (KVM in a
    paravirtual machine): firmware starts there, but a stock kernel hangs on its way to 64-bit mode.
    Hence the processor's own flag is asked as well.
    """
    if not Path(device).exists():
        return f"there is no {device}"
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path(cpuinfo).read_text(), re.MULTILINE):
        return "the processor shows neither vmx nor svm"
    opened: list[int] = []
    try:
        opened.append(os.open(device, os.O_RDWR | os.O_CLOEXEC))
        version = fcntl.ioctl(opened[0], _KVM_GET_API_VERSION, 0)
        if version != _API_VERSION:
            return f"{device} speaks version {version} of the KVM interface, not {_API_VERSION}"
        opened.append(fcntl.ioctl(opened[0], _KVM_CREATE_VM, 0))
        opened.append(fcntl.ioctl(opened[1], _KVM_CREATE_VCPU, 0))
    except OSError as error:
        return f"{device}: {error.strerror}"
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)
    return None
