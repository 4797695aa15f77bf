"""The disk of an installed miniature machine, and the rootfs that carries it to where it is installed.

Owns: the disk's content, and the rootfs: a text that says where the blocks belong, then every block that is not empty.
Byte for byte the same for the same inputs. Does not own: writing it to a disk (miniature/install), what runs on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.image import disk
from lab.image.boot import APPLETS
from lab.image.parts import PROGRAMS
from lab.progress import StepFailed

OVERLAY = Path(__file__).parent / "machine"
BLOCK = 64 * 1024
# Few inodes: the kernel empties their tables at the first boot.
SYSTEM = disk.FileSystem(
    "miniature", "6f6b642d-6c69-4276-8972-742d6d616368", 1024, ("-J", "size=8", "-N", "8192", "-I", "256")
)
OS_RELEASE = """NAME="Miniature CoreOS (lab)"
ID=miniature-coreos
PRETTY_NAME="Miniature CoreOS (lab)"
"""
# The time of every file, and of the file system itself.
_EPOCH = "1700000000"
_DIRECTORIES = ("dev", "proc", "run", "sys", "tmp", "etc/kubernetes", "home/core", "opt", "root", "var/lib", "var/log")
# Only the program that sets the clock in the initramfs needs these.
_LEFT_OUT = ("bin/bash", "lib/x86_64-linux-gnu/libtinfo.so.6")
_SCRIPTS = "usr/libexec/"


def inputs() -> list[Path]:
    """Return the files that the disk is made from, besides the parts, the initramfs and the program."""
    here = Path(__file__)
    return [here, here.with_name("disk.py"), *(path for path in OVERLAY.rglob("*") if path.is_file())]


def make(parts: Path, boot: Path, program: Path, scripts: Path, to: Path, log: Path) -> None:
    """Write `rootfs` into the directory `to`; `boot` holds kernel and initramfs. Raises StepFailed."""
    content = {
        "boot/kernel": boot / "kernel",
        "boot/initramfs": boot / "initramfs",
        "bin/miniature": program,
        **{f"bin/{name}": scripts / name for name in ("on-lease", "words")},
        **{target: parts / Path(source).name for source, target in PROGRAMS.items() if target not in _LEFT_OUT},
        **{path.relative_to(OVERLAY).as_posix(): path for path in OVERLAY.rglob("*") if path.is_file()},
    }
    raw = to / "machine.raw"
    # Every time that is written into the file system is this one.
    disk.make_raw(raw, SYSTEM, log, env={**os.environ, "E2FSPROGS_FAKE_TIME": _EPOCH})
    _fill(raw, content, to)
    _write_rootfs(raw, to / "rootfs")
    raw.unlink()


def _fill(raw: Path, content: dict[str, Path], to: Path) -> None:
    """Put files, directories and links into the empty file system, in an order that does not depend on this machine."""
    staged = to / "staged"
    staged.mkdir()
    (staged / "os-release").write_text(OS_RELEASE)
    commands: list[str] = []
    files = {**content, "etc/os-release": staged / "os-release"}
    directories = {
        parent.as_posix() for name in (*files, *(f"{name}/x" for name in _DIRECTORIES)) for parent in Path(name).parents
    }
    commands += [f"mkdir /{name}" for name in sorted(directories - {"."})]
    for number, (name, source) in enumerate(sorted(files.items())):
        copy = staged / str(number)
        shutil.copyfile(source, copy)
        copy.chmod(0o755 if name.startswith(("bin/", "lib", _SCRIPTS)) else 0o644)
        commands += [f"cd /{Path(name).parent}", f"write {copy} {Path(name).name}"]
    commands += ["cd /bin", *(f"symlink {name} busybox" for name in sorted(APPLETS))]
    _debugfs(raw, commands, staged)
    shutil.rmtree(staged)


def _debugfs(raw: Path, commands: list[str], staged: Path) -> None:
    script = staged / "commands"
    script.write_text("".join(f"{command}\n" for command in commands))
    argv: list[str | Path] = ["debugfs", "-w", "-f", script, f"{raw}?offset={disk.OFFSET}"]
    environment = {**os.environ, "E2FSPROGS_FAKE_TIME": _EPOCH, "LC_ALL": "C"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    # debugfs says on stderr what went wrong, after its own name, and ends with 0 all the same.
    if problems := done.stderr.splitlines()[1:]:
        raise StepFailed("the machine's disk cannot be filled", last_lines=problems[:5])


def _write_rootfs(raw: Path, rootfs: Path) -> None:
    """Write the text and behind it the blocks. The first block comes last: it makes the disk start."""
    journal = _journal_blocks(raw)
    copied, emptied, empty = [], [], bytes(BLOCK)
    for number, block in _blocks(raw):
        if block != empty:
            copied.append(number)
        elif number in journal:
            emptied.append(number)
    body = [number for number in copied if number != 0]
    lines = [f"copy={1 + skip}:{seek}:{count}" for skip, seek, count in _runs(body)]
    lines += [f"zero={seek}:{count}" for _, seek, count in _runs(emptied)]
    head = f"{OS_RELEASE}needs={raw.stat().st_size}\nblocks={len(copied) + 1}\nboot={len(copied)}\n"
    text = (head + "".join(f"{line}\n" for line in lines) + "end\n").encode()
    if len(text) > BLOCK:
        raise StepFailed("the machine's disk is in too many pieces for its table")
    with raw.open("rb") as source, rootfs.open("wb") as target:
        target.write(text.ljust(BLOCK, b"\n"))
        for number in [*body, 0]:
            source.seek(number * BLOCK)
            target.write(source.read(BLOCK))


def _blocks(raw: Path) -> Iterator[tuple[int, bytes]]:
    with raw.open("rb") as handle:
        for number in range(raw.stat().st_size // BLOCK):
            yield number, handle.read(BLOCK)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (position in the list, number, count) of consecutive numbers."""
    first = 0
    for position in range(1, len(numbers) + 1):
        if position == len(numbers) or numbers[position] != numbers[position - 1] + 1:
            yield first, numbers[first], position - first
            first = position


def _journal_blocks(raw: Path) -> set[int]:
    """Return our blocks that the journal covers: emptied, so that a journal of before is never replayed."""
    argv = ["debugfs", "-R", "blocks <8>", f"{raw}?offset={disk.OFFSET}"]
    numbers = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    return {(disk.OFFSET + int(number) * 4096) // BLOCK for number in numbers}
