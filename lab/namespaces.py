"""The lab's network and mount namespaces: who lives in them, making them, joining them, emptying them.

Owns: the holder process and the private mounts (made by lab/holder.py). Does not own: what runs inside.
Nothing is remembered in pid files: a process is the lab's when the marker file in the lab's private
/run/libvirt is visible from it, so a killed holder or a reboot leaves no stale record behind.
Where private mounts lie is lab/mountpoints.py's.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cluster import limits
from lab import checkout, mountpoints
from lab.progress import StepFailed, tail


@dataclass(frozen=True)
class Process:
    """One process inside the lab's namespaces."""

    pid: int
    argv: tuple[str, ...]
    # Clock ticks since the machine started.
    started: int

    @property
    def name(self) -> str:
        """Return the program's name, for Python the module or script that it runs."""
        if Path(self.argv[0]).name.startswith("python") and len(self.argv) > 1:
            return self.argv[2] if self.argv[1] == "-m" else Path(self.argv[1]).name
        return Path(self.argv[0]).name


def processes() -> list[Process]:
    """Return every process in the lab's namespaces, oldest first.

    Pids begin anew at some time, so the lowest may be of a process that has gone on to a network namespace of its own.
    """
    found = (_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return sorted((process for process in found if process), key=lambda process: (process.started, process.pid))


def named(name: str) -> list[Process]:
    """Return the lab's processes with this name."""
    return [process for process in processes() if process.name == name]


def _process(pid: int) -> Process | None:
    try:
        if mountpoints.owner(pid) != checkout.lab_id():
            return None
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        started = _started(pid)
    except OSError:
        return None
    return Process(pid, tuple(words[:-1]) or ("(ending)",), started)


def _started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def inside() -> bool:
    """Tell whether this process itself runs in the lab's namespaces."""
    return _process(os.getpid()) is not None


def join(argv: list[str], *, directory: Path | None = None) -> list[str]:
    """Return the command line that runs `argv` in the namespaces. Raises StepFailed when there are none."""
    living = [process for process in processes() if process.argv != ("(ending)",)]
    if not living:
        raise StepFailed("the lab is not running", remedy="start it: python3 -m lab.hypervisor up")
    change = ["env", "-C", str(directory)] if directory else []
    return ["nsenter", f"--target={living[0].pid}", "--net", "--mount", "--", *change, *argv]


def spawn(argv: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, in a session of its own, its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=checkout.ROOT,
            env=env,
            start_new_session=True,
        )


def hold() -> bool:
    """Make sure that a holder keeps the namespaces alive; return True when they had to be made anew."""
    if named("lab.holder"):
        return False
    with mountpoints.alone():
        fresh = not processes()
        if fresh:
            mountpoints.create()
        _start_holder(fresh)
    return fresh


def _start_holder(fresh: bool) -> None:
    log = checkout.LOGS / "holder.log"
    holder = [sys.executable, "-m", "lab.holder"]
    if fresh:
        command = ["unshare", "--net", "--mount", "--propagation", "slave", "--", *holder, "make"]
    else:
        command = join([*holder, "keep"], directory=checkout.ROOT)
    child = spawn(command, log)
    deadline = time.monotonic() + limits.LAB_DAEMON.seconds
    while not named("lab.holder"):
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            remedy = (
                "run as root on a machine (or in a privileged container) that allows new network and mount namespaces"
            )
            raise StepFailed("the lab's namespaces could not be made", tail(log), remedy)
        time.sleep(0.05)


def end_all() -> list[Process]:
    """End every process in the namespaces (guests first, the holder last) and return what was ended."""
    ended: list[Process] = []
    while living := processes():
        first = min(_ending_order(process) for process in living)
        ended += end([process for process in living if _ending_order(process) == first])
    return ended


def end(wanted: list[Process]) -> list[Process]:
    """End these processes, by force when they do not go; return them. Raises StepFailed when one stays."""
    _signal(wanted, signal.SIGTERM)
    _signal(wanted, signal.SIGKILL)
    if left := [f"{process.name} ({process.pid})" for process in wanted if _process(process.pid)]:
        raise StepFailed(f"cannot be ended: {', '.join(left)}", remedy="see what they wait for, then try again")
    return wanted


def _ending_order(process: Process) -> int:
    if process.name.startswith("qemu-system"):
        return 0
    return 2 if process.name == "lab.holder" else 1


def _signal(batch: list[Process], signum: signal.Signals) -> None:
    """Signal what still lives of `batch` and wait for its end.

    A pid may have been taken over by a stranger meanwhile: the pidfd is opened first, then the process looked at.
    """
    poll, waiting = select.poll(), set[int]()
    try:
        for process in batch:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(process.pid)
                waiting.add(descriptor)
                if _process(process.pid):
                    poll.register(descriptor, select.POLLIN)
                    signal.pidfd_send_signal(descriptor, signum)
                else:
                    os.close(descriptor)
                    waiting.discard(descriptor)
        deadline = time.monotonic() + limits.LAB_END.seconds
        while waiting and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                waiting.discard(descriptor)
                os.close(descriptor)
    finally:
        for descriptor in waiting:
            os.close(descriptor)


def clear() -> bool:
    """Remove the lab's files and the mount points that it created; return True when there were any."""
    if not checkout.HYPERVISOR.exists():
        return False
    with mountpoints.alone():
        mountpoints.remove()
    shutil.rmtree(checkout.HYPERVISOR)
    return True
