"""What the boot image and the machines' disk are made of: kernel, modules, busybox, bash and their libraries.

Owns: which parts, and taking them out of the services host's image, so that nothing is downloaded for a boot image.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from pathlib import Path

from lab.image import disk
from lab.progress import StepFailed, run

# In the order in which they are loaded; ext4 and its checksums are in the kernel.
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio_blk",
    "loop",
)
# Where each part lies in the services host's root file system, and in ours.
PROGRAMS = {
    "usr/bin/busybox": "bin/busybox",
    "usr/bin/bash": "bin/bash",
    "usr/lib64/ld-linux-x86-64.so.2": "lib64/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libresolv.so.2": "lib/x86_64-linux-gnu/libresolv.so.2",
    "usr/lib/x86_64-linux-gnu/libtinfo.so.6": "lib/x86_64-linux-gnu/libtinfo.so.6",
}
_LINKS = 4


def take(image: Path, to: Path, log: Path) -> None:
    """Put every part into the directory `to`, under its own name, from the services host's qcow2 image."""
    raw = to / "services.raw"
    run(["qemu-img", "convert", "-O", "raw", image, raw], log=log)
    system = _System(raw)
    (kernel,) = [name for name in system.names("/boot") if name.startswith("vmlinuz-")]
    system.copy(f"/boot/{kernel}", to / "kernel")
    for source in PROGRAMS:
        system.copy(f"/{source}", to / Path(source).name)
    modules = f"/usr/lib/modules/{kernel.removeprefix('vmlinuz-')}"
    wanted = re.findall(r"^(\S+/([\w-]+)\.ko):", system.text(f"{modules}/modules.dep"), re.MULTILINE)
    places = {name.replace("-", "_"): place for place, name in wanted}
    for name in MODULES:
        if name not in places:
            raise StepFailed(f"the kernel has no module {name}", remedy="correct MODULES in lab/image/parts.py")
        system.copy(f"{modules}/{places[name]}", to / f"{name}.ko")
    raw.unlink()


class _System:
    """The file system on a raw disk image, read without mounting it."""

    def __init__(self, raw: Path) -> None:
        self.raw = f"{raw}?offset={disk.OFFSET}"

    def text(self, path: str) -> str:
        return self._ask(f"cat {path}").decode()

    def names(self, directory: str) -> list[str]:
        return [line.split("/")[5] for line in self._ask(f"ls -p {directory}").decode().splitlines() if line]

    def copy(self, path: str, to: Path) -> None:
        for _ in range(_LINKS):
            target = re.search(r'^Fast link dest: "(.*)"$', self._ask(f"stat {path}").decode("latin-1"), re.MULTILINE)
            if not target:
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.group(1)))
        self._ask(f"dump {path} {to}")
        if not to.is_file() or not to.stat().st_size:
            raise StepFailed(
                f"the services host's image has no {path}", remedy="correct PROGRAMS in lab/image/parts.py"
            )

    def _ask(self, request: str) -> bytes:
        return subprocess.run(["debugfs", "-R", request, self.raw], capture_output=True, check=True).stdout
