"""The miniature boot image's initramfs: busybox, a few modules, and scripts that report, install and hand over.

Owns: the initramfs, byte for byte the same for the same parts. Does not own: the parts (parts.py), and what is
installed (machine_disk.py).
"""

from __future__ import annotations

import gzip
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from lab.image.parts import MODULES, PROGRAMS

FILES = ("kernel", "initramfs", "rootfs")
SCRIPTS = Path(__file__).parent / "miniature"
APPLETS = (
    *("blockdev", "cat", "cut", "date", "dd", "echo", "grep", "head", "hostname", "init", "insmod", "ip", "killall"),
    *("losetup", "mkdir", "mount", "nslookup", "od", "pidof", "poweroff", "printf", "reboot", "rm", "sed", "sh"),
    *("sleep", "stat", "switch_root", "sync", "tail", "tee", "timeout", "touch", "tr", "udhcpc", "umount", "wc"),
    "wget",
)


@dataclass(frozen=True)
class Entry:
    """One member of the archive; `mode` includes the file type, `device` is (major, minor)."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def inputs() -> list[Path]:
    """Return the files that the initramfs is made from."""
    return [Path(__file__), Path(__file__).with_name("parts.py"), *sorted(SCRIPTS.iterdir())]


def make(parts: Path, to: Path) -> None:
    """Write `kernel` and `initramfs` into the directory `to`."""
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
