"""The services host's root file system: Debian packages, then the few files that make it start fast.

Owns: the content of the root file system, up to a directory tree. Does not own: turning it into a disk, and the
configuration of any service (the stack delivers that; here every such service is disabled).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from cluster.host_os import HOST_SYSTEMS
from lab.progress import StepFailed, run

HOST_OS = HOST_SYSTEMS["debian-12"]
RELEASE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OVERLAY = Path(__file__).parent / "root"

# What Debian's own cloud image brings, as far as it matters here.
BASE_PACKAGES = (
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "busybox",
    "zstd",
    "systemd-sysv",
    "systemd-resolved",
    "dbus",
    "udev",
    "kmod",
    "netbase",
    "openssh-server",
    "sudo",
    "python3",
    "cloud-init",
    "cloud-guest-utils",
    "netplan.io",
    "e2fsprogs",
    "fdisk",
    "iproute2",
    "iputils-ping",
    "procps",
    "less",
    "curl",
    "ca-certificates",
)
# Started by their packages as soon as they are installed; on the services host only once they are configured.
DAEMONS = (
    HOST_OS.firewall,
    HOST_OS.time,
    HOST_OS.dns,
    HOST_OS.dhcp,
    HOST_OS.tftp,
    HOST_OS.http,
    HOST_OS.registry,
    HOST_OS.load_balancer,
)
# Nothing that a services host needs within its first minutes; each costs seconds of an emulated processor.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "cloud-init-hotplugd.socket",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "man-db.timer",
    "systemd-pstore.service",
)


def packages() -> tuple[str, ...]:
    """Return every package that is asked for by name."""
    return tuple(sorted({*BASE_PACKAGES, *HOST_OS.packages}))


def make(tree: Path, log: Path) -> None:
    """Make the root file system in the directory `tree`. Raises StepFailed with the tool's last lines."""
    _bootstrap(tree, log)
    _overlay(tree)
    _hold_daemons(tree)
    _in_tree(tree, log, "systemctl", "disable", HOST_OS.firewall.unit)
    _plain_logins(tree)
    _trust_nobody(tree, log)
    _in_tree(tree, log, "systemctl", "mask", *MASKED)
    _in_tree(tree, log, "update-initramfs", "-u")
    _forget(tree)


def _bootstrap(tree: Path, log: Path) -> None:
    if not KEYRING.exists():
        raise StepFailed(f"{KEYRING} is missing", remedy="apt-get install debian-archive-keyring")
    sources = [f"deb [signed-by={KEYRING}] {uri} {suite} main" for uri, suite in _repositories()]
    options = [f"--dpkgopt={option}" for option in ("force-unsafe-io", "path-exclude=/usr/share/man/*")]
    options += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("locale", "info", "doc/*")]
    options += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", '--aptopt=Apt::Install-Recommends "false"']
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(packages())}",
            *options,
            RELEASE,
            tree,
            *sources,
        ],
        step=f"installing {len(packages())} Debian packages and what they depend on",
        log=log,
        remedy="the Debian repositories that apt uses on this machine must be reachable",
    )


def _repositories() -> list[tuple[str, str]]:
    """Return (URI, suite) of the release's repositories as apt on this machine is set up to use them."""
    form = "$(REPO_URI) $(CODENAME) $(SUITE)"
    argv = ["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Component: main"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")
    found = {(uri, name) for uri, name, *_ in (line.split() for line in lines if line) if name.startswith(RELEASE)}
    if not any(name == RELEASE for _, name in found):
        raise StepFailed(
            f"apt on this machine knows no repository of Debian {RELEASE}",
            remedy=f"add Debian {RELEASE} to /etc/apt/sources.list.d and run apt-get update",
        )
    return sorted(found, key=lambda one: (one[1] != RELEASE, one))


def _overlay(tree: Path) -> None:
    for source in sorted(OVERLAY.rglob("*")):
        target = tree / source.relative_to(OVERLAY)
        if source.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copyfile(source, target)
            target.chmod(0o644)


def _hold_daemons(tree: Path) -> None:
    """Keep the daemons enabled but down until the stack has configured them: enabling costs emulated minutes.

    All but firewalld: on Debian's own image it is not there yet when cloud-init has its one boot, and the two together
    are a cycle.
    """
    for unit in (daemon.unit for daemon in DAEMONS):
        configured = (f"/etc/systemd/system/{unit}", f"/etc/systemd/system/{unit}.d/okd-libvirt.conf")
        drop_in = tree / "usr/lib/systemd/system" / f"{unit}.d" / "wait-for-configuration.conf"
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        drop_in.write_text("[Unit]\n" + "".join(f"ConditionPathExists=|{path}\n" for path in configured))


def _plain_logins(tree: Path) -> None:
    """Leave out of a login what only people want: a session and a manager of the user's own, mail, the day's message.

    They cost seconds of an emulated processor at each of the forty commands of a first update.
    """
    for name, unwanted in (("sshd", r"pam_(motd|mail)\.so"), ("common-session", r"pam_systemd\.so")):
        path = tree / "etc/pam.d" / name
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not re.search(unwanted, line)))


def _trust_nobody(tree: Path, log: Path) -> None:
    """Deselect the public authorities: a disconnected host needs its own only, and rehashing all takes 40 s."""
    listing = tree / "etc/ca-certificates.conf"
    listing.write_text(listing.read_text().replace("\nmozilla/", "\n!mozilla/"))
    _in_tree(tree, log, "update-ca-certificates", "--fresh")


def _in_tree(tree: Path, log: Path, *argv: str) -> None:
    """Run a command with the tree as root and with its own /proc, which vanishes with the command."""
    mount = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    run(["unshare", "--mount", "sh", "-c", mount, tree, *argv], log=log, env=environment, append=True)


def _forget(tree: Path) -> None:
    """Remove what must be born anew on every host, and what a first boot would only recompute."""
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/hostname", "etc/resolv.conf", "etc/bind/rndc.key", "var/lib/dbus/machine-id"):
        (tree / name).unlink(missing_ok=True)
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    for pattern in ("var/lib/apt/lists/*", "var/cache/apt/*", "var/log/*.log", "var/cache/debconf/*-old"):
        for path in tree.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Newer than /usr: systemd then skips ldconfig, sysusers and catalogue updates at the first boot.
    for stamp in ("etc/.updated", "var/.updated"):
        (tree / stamp).touch()
    subprocess.run(["passwd", "--root", tree, "--lock", "root"], check=True, capture_output=True)
