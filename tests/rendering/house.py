"""A services host without a machine: namespaces of their own in which rendered files lie at their real paths.

Owns a mount and network namespace with overlays over /etc, /var, /srv and /usr/local, a tmpfs at /run, a bridge `cluster` that
holds the services address, an interface `uplink`, and beside it a second network namespace, the `probe`, with a card
on that bridge. Nothing outside is touched, and nothing is left once it is closed. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.plan import Plan
from tests.patience import PATIENCE_SECONDS

SETUP = """
set -e
mount -t tmpfs tmpfs {scratch}
for top in etc var srv usr/local; do
    mkdir -p {scratch}/$top/upper {scratch}/$top/work
    mount -t overlay overlay -o lowerdir=/$top,upperdir={scratch}/$top/upper,workdir={scratch}/$top/work /$top
done
mount -t tmpfs tmpfs /run
mkdir -p /run/named /run/kea /run/lock/kea /run/haproxy /run/chrony /var/named /var/lib/haproxy /var/lib/kea /var/lib/okd-registry
chmod 0750 /run/chrony
ip link set lo up
ip link add cluster type bridge stp_state 0 forward_delay 0
ip link add uplink type bridge
ip addr add {services}/{prefix} dev cluster
ip addr add {uplink}/{uplink_prefix} dev uplink
ip link set cluster up
ip link set uplink up
touch {scratch}/ready
exec sleep infinity
"""

PACKAGES = {
    "named": "bind9",
    "named-checkconf": "bind9-utils",
    "dig": "bind9-dnsutils",
    "kea-dhcp4": "kea-dhcp4-server",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "chronyd": "chrony",
    "firewalld": "firewalld",
    "dbus-daemon": "dbus-daemon",
    "nft": "nftables",
    "docker-registry": "docker-registry",
    "in.tftpd": "tftpd-hpa",
    "systemd-analyze": "systemd",
    "openssl": "openssl",
    "curl": "curl",
    "ip": "iproute2",
    "unshare": "util-linux",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> list[str]:
    """The Debian packages whose daemons are not on this machine."""
    return sorted(package for tool, package in PACKAGES.items() if shutil.which(tool, path=PATH) is None)


class House:
    """One services host in namespaces; use as a context manager."""

    def __init__(self, plan: Plan, values: Mapping[str, str], scratch: Path) -> None:
        self.plan = plan
        self._scratch = scratch
        self._started: list[subprocess.Popen[bytes]] = []
        network, uplink = plan.network, plan.settings.uplink
        setup = SETUP.format(
            scratch=scratch,
            services=plan.services_address,
            prefix=network.prefixlen,
            uplink=uplink.address,
            uplink_prefix=uplink.cidr.prefixlen,
        )
        self._host = subprocess.Popen(["unshare", "--mount", "--net", "sh", "-c", setup])
        self._wait(lambda: self.root.joinpath(str(scratch)[1:], "ready").exists(), "the namespaces of the house")
        self._probe = subprocess.Popen(["nsenter", *self._of(self._host), "unshare", "--net", "sleep", "infinity"])
        self._wait(lambda: self._net(self._probe) not in (self._net(self._host), _own_net()), "the probe's namespace")
        self._connect()
        for bundle in plan.bundles:
            for file in bundle.files:
                if file.copy_of is not None and os.path.exists(file.copy_of):
                    self.write_bytes(file.path, Path(file.copy_of).read_bytes())
                elif file.copy_of is None:
                    self.write(file.path, values[str(file.value)] if file.text is None else file.text)
        self._add_users()

    @property
    def root(self) -> Path:
        """The house's file system as seen from outside."""
        return Path(f"/proc/{self._host.pid}/root")

    @property
    def pid(self) -> int:
        """A process inside, for `nsenter --target`."""
        return self._host.pid

    @property
    def probe_pid(self) -> int:
        """A process of the probe, for `nsenter --target`."""
        return self._probe.pid

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self._started, self._probe, self._host]:
            process.kill()
            process.wait()

    def write(self, path: str, text: str) -> None:
        """Put a file where the daemons look for it."""
        self.write_bytes(path, text.encode())

    def write_bytes(self, path: str, content: bytes) -> None:
        """Put a file where the daemons look for it; its content may be anything."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.write_bytes(content)

    def read(self, path: str) -> str:
        """A file of the house, empty when there is none."""
        target = self.root / path.lstrip("/")
        return target.read_text() if target.exists() else ""

    def run(self, *argv: str, probe: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, or on the probe, and wait for it."""
        where = self._of(self._probe if probe else self._host)
        command = ["nsenter", *where, *argv]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=_environment(), check=False
        )

    def start(self, *argv: str, probe: bool = False) -> subprocess.Popen[bytes]:
        """Start a command that runs until the house is closed."""
        where = self._of(self._probe if probe else self._host)
        log = (self._scratch / f"daemon-{len(self._started)}-{Path(argv[0]).name}.log").open("wb")
        process = subprocess.Popen(["nsenter", *where, *argv], stdout=log, stderr=log, env=_environment())
        self._started.append(process)
        return process

    def until(self, *argv: str, probe: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command until it succeeds; when the patience ends fail with what the daemons said."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (done := self.run(*argv, probe=probe)).returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}\n{self._logs()}"
        return done

    def _logs(self) -> str:
        """The last lines of what the started commands said."""
        logs = sorted(self._scratch.glob("daemon-*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-600:]}" for log in logs)

    def _connect(self) -> None:
        for command in (
            f"ip link add probe-port type veth peer name probe netns {self._probe.pid}",
            "ip link set probe-port master cluster up",
        ):
            self._must(self.run(*command.split()))
        for command in (
            "ip link set lo up",
            "ip link set probe up",
            f"ip addr add {self.plan.probe_address}/{self.plan.network.prefixlen} dev probe",
        ):
            self._must(self.run(*command.split(), probe=True))

    def _add_users(self) -> None:
        passwd, group = self.read("/etc/passwd"), self.read("/etc/group")
        system = self.plan.host_os
        for user in {system.http.user, system.dns.user, system.load_balancer.user, system.tftp.user}:
            if f"\n{user}:" not in f"\n{passwd}":
                passwd += f"{user}:x:65000:65000::/nonexistent:/usr/sbin/nologin\n"
                group += f"{user}:x:65000:\n"
        self.write("/etc/passwd", passwd)
        self.write("/etc/group", group)

    @staticmethod
    def _must(done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, done.stderr

    @staticmethod
    def _of(process: subprocess.Popen[bytes]) -> list[str]:
        return ["--target", str(process.pid), "--mount", "--net"]

    @staticmethod
    def _net(process: subprocess.Popen[bytes]) -> str:
        return os.readlink(f"/proc/{process.pid}/ns/net")

    @staticmethod
    def _wait(ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            assert time.monotonic() < deadline, f"{what} did not come up"
            time.sleep(0.02)


def _own_net() -> str:
    return os.readlink("/proc/self/ns/net")


def _environment() -> dict[str, str]:
    return {"PATH": PATH, "LANG": "C.UTF-8", "KEA_LOCKFILE_DIR": "/run/lock/kea", "PYTHONUNBUFFERED": "1"}
