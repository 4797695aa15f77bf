"""A libvirt of the checkout's own: `python3 -m lab.hypervisor up|down|status|enter -- COMMAND…`.

Owns: libvirtd and all its guests and networks inside a network and a mount namespace. Does not own: any
libvirt, network or process of the user. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import checkout, kvm, libvirtd, namespaces
from lab.progress import StepFailed, fail, say

# The programs that it takes, with their Debian packages.
NEEDS = {
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "mkisofs": "genisoimage",
    "xsltproc": "xsltproc",
}


def main(argv: list[str]) -> int:
    """Run one verb; return the exit code. `enter` does not return."""
    verbs = {"up": up, "down": down, "status": status}
    try:
        if argv[:1] == ["enter"]:
            enter([*argv[1:]])
        if len(argv) != 1 or argv[0] not in verbs:
            print("usage: python3 -m lab.hypervisor up|down|status|enter -- COMMAND…", file=sys.stderr)
            return 2
        verbs[argv[0]]()
    except StepFailed as error:
        return fail(error)
    except KeyboardInterrupt:
        return 130
    return 0


def up() -> None:
    """Bring the hypervisor up; does nothing when it is."""
    _preflight()
    with _alone():
        if namespaces.hold():
            say(f"namespaces of lab {checkout.lab_id()} made")
        started = libvirtd.start()
    say(f"hypervisor {'started' if started else 'runs already'}: libvirt {_version()}, {_accelerator()}")


def down() -> None:
    """End everything in the lab and leave nothing; does nothing when there is nothing."""
    _require_root()
    if namespaces.inside():
        raise StepFailed(
            "this command runs inside the lab that it is to end", remedy="leave the lab's shell first (exit)"
        )
    with _alone():
        ended = namespaces.end_all()
        for name in sorted({process.name for process in ended}):
            pids = [str(process.pid) for process in ended if process.name == name]
            say(f"ended {name} ({', '.join(pids)})")
        cleared = namespaces.clear()
    say("hypervisor ended, nothing left" if ended or cleared else "no hypervisor ran")


def status() -> None:
    """Print what runs."""
    _require_root()
    living = namespaces.processes()
    print(f"lab          {checkout.lab_id()} ({checkout.ROOT})")
    if not living:
        print("hypervisor   not running")
        return
    print(f"hypervisor   {'libvirt ' + _version() if libvirtd.answers() else 'libvirtd does not answer'}")
    print(f"accelerator  {_accelerator()}")
    counts: dict[str, list[str]] = {}
    for process in living:
        counts.setdefault(process.name, []).append(str(process.pid))
    print(
        "processes    " + "\n             ".join(f"{name} ({', '.join(pids)})" for name, pids in sorted(counts.items()))
    )
    if libvirtd.answers():
        for title, words in {
            "domains": ("list", "--all"),
            "networks": ("net-list", "--all"),
            "pools": ("pool-list", "--all"),
        }.items():
            print(f"\n{title}\n{libvirtd.virsh(*words).rstrip()}")


def enter(argv: list[str]) -> None:
    """Replace this process by a command inside the lab, in the same directory, with the lab's environment."""
    command = argv[1:] if argv[:1] == ["--"] else argv
    _require_root()
    words = namespaces.join(command or [os.environ.get("SHELL", "/bin/sh")], directory=Path.cwd())
    sys.stdout.flush()
    os.execvpe(words[0], words, checkout.environment())


@contextmanager
def _alone() -> Iterator[None]:
    """Let one `up` or `down` of this checkout run at a time."""
    checkout.LAB.mkdir(exist_ok=True)
    descriptor = os.open(checkout.LAB, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _preflight() -> None:
    _require_root()
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = {program: package for program, package in NEEDS.items() if not shutil.which(program, path=path)}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise StepFailed(
            f"not installed: {', '.join(missing)}", remedy=f"apt-get install --no-install-recommends {packages}"
        )


def _require_root() -> None:
    if os.geteuid() != 0:
        raise StepFailed(
            "the lab makes namespaces and networks: that takes root", remedy="run the same command with sudo -E"
        )


def _accelerator() -> str:
    reason = kvm.problem()
    return "KVM" if reason is None else f"software emulation ({reason})"


def _version() -> str:
    return libvirtd.virsh("version", "--daemon").split()[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
