"""The miniature boot image: Debian's kernel, an initramfs of busybox that reports what the network gave it, a rootfs.

Owns: initramfs and rootfs, byte for byte the same for the same parts. The parts (kernel, modules, busybox, bash and
its libraries) are kept from the services host's root file system, so nothing is downloaded for it.
"""

from __future__ import annotations

import gzip
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from lab.progress import StepFailed

FILES = ("kernel", "initramfs", "rootfs")
SCRIPTS = Path(__file__).parent / "miniature"
# In the order in which they are loaded.
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
)
APPLETS = (
    *("cat", "cut", "dd", "echo", "head", "hostname", "insmod", "ip", "mount", "nslookup", "od", "printf"),
    *("cpio", "gunzip", "mkdir", "sed", "sh", "sleep", "tail", "timeout", "tr", "udhcpc", "wc", "wget"),
)
# Where each part lies in the root file system, and in the initramfs.
PROGRAMS = {
    "bin/busybox": "bin/busybox",
    "bin/bash": "bin/bash",
    "lib64/ld-linux-x86-64.so.2": "lib64/ld-linux-x86-64.so.2",
    "lib/x86_64-linux-gnu/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6",
    "lib/x86_64-linux-gnu/libresolv.so.2": "lib/x86_64-linux-gnu/libresolv.so.2",
    "lib/x86_64-linux-gnu/libtinfo.so.6": "lib/x86_64-linux-gnu/libtinfo.so.6",
}
# A live system's root file system, fetched after the boot; this one has a name and nothing else.
OS_RELEASE = """NAME="Miniature CoreOS (lab)"
ID=miniature-coreos
PRETTY_NAME="Miniature CoreOS (lab): no installer, no Kubernetes"
"""


@dataclass(frozen=True)
class Entry:
    """One member of the archive; `mode` includes the file type, `device` is (major, minor)."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def inputs() -> list[Path]:
    """Return the files that the initramfs is made from, besides the parts."""
    return [Path(__file__), *sorted(SCRIPTS.iterdir())]


def keep_parts(tree: Path, to: Path) -> None:
    """Keep from a root file system in `tree` what the boot image is made of."""
    parts = to / "parts"
    parts.mkdir()
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    shutil.copyfile(kernel, parts / "kernel")
    for source in PROGRAMS:
        shutil.copyfile(tree / source, parts / Path(source).name)
    for name in MODULES:
        found = list((tree / "lib/modules").rglob(f"{name}.ko"))
        if not found:
            raise StepFailed(f"the kernel has no module {name}", remedy="correct MODULES in lab/image/boot.py")
        shutil.copyfile(found[0], parts / f"{name}.ko")


def make(parts: Path, to: Path) -> None:
    """Write `kernel`, `initramfs` and `rootfs` into the directory `to`, from what `keep_parts` kept."""
    shutil.copyfile(parts / "kernel", to / "kernel")
    entries = [Entry(name, stat.S_IFDIR | 0o755) for name in _directories()]
    entries.append(Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries += [Entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox") for name in APPLETS]
    for source, target in PROGRAMS.items():
        entries.append(Entry(target, stat.S_IFREG | 0o755, (parts / Path(source).name).read_bytes()))
    for name in MODULES:
        entries.append(Entry(f"lib/modules/{name}.ko", stat.S_IFREG | 0o644, (parts / f"{name}.ko").read_bytes()))
    entries.append(Entry("lib/modules/order", stat.S_IFREG | 0o644, "".join(f"{name}\n" for name in MODULES).encode()))
    for script in sorted(SCRIPTS.iterdir()):
        target = "init" if script.name == "init" else f"bin/{script.name}"
        entries.append(Entry(target, stat.S_IFREG | 0o755, script.read_bytes()))
    (to / "initramfs").write_bytes(_archive(entries))
    etc = Entry("etc", stat.S_IFDIR | 0o755)
    (to / "rootfs").write_bytes(_archive([etc, Entry("etc/os-release", stat.S_IFREG | 0o644, OS_RELEASE.encode())]))


def _directories() -> list[str]:
    return ["bin", "dev", "etc", "lib", "lib/modules", "lib/x86_64-linux-gnu", "lib64", "proc", "run", "sys", "tmp"]


def _archive(entries: list[Entry]) -> bytes:
    archive = b"".join(_newc(number, entry) for number, entry in enumerate(entries, 1))
    return gzip.compress(archive + _newc(0, Entry("TRAILER!!!", 0)), mtime=0)


def _newc(number: int, entry: Entry) -> bytes:
    """Return one member in the kernel's cpio format: thirteen hexadecimal fields, name and content padded to 4."""
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = [number, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device, len(name), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
