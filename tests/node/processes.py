"""A miniature cluster of processes on loopback addresses: what its machines run, without machines.

Owns: a set of the real openshift-install, a registry with the release image's labels, a load balancer (the real HAProxy),
one process a machine. Every cluster takes a network 127.0.N.0/24 of its own. Does not own what is asked of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import yaml

from lab import node, release
from lab.release import tools
from tests.node import registry
from tests.node.installer_set import DOMAIN, make_set, scheduler
from tests.node.machine import Machine, balancer
from tests.patience import PATIENCE_SECONDS

VERSION = registry.VERSION
HAPROXY = "/usr/sbin/haproxy"
Document = dict[str, Any]


class Cluster:
    """Machines, load balancer and registry below `directory`. `argv` puts a command where they run (namespaces, say).

    `late` is how many seconds the bootstrap's member of the store and the third API are late, as "member=2-6,api=5-10".
    """

    def __init__(
        self,
        directory: Path,
        *,
        control_plane: int = 3,
        compute: int = 2,
        manifests: Mapping[str, str] | None = None,
        late: str = "",
        argv: Callable[[Sequence[str]], list[str]] = list,
    ) -> None:
        self.directory, self.argv, self.late = directory, argv, late
        directory.mkdir(parents=True, exist_ok=True)
        self.lock, self.network = _network()
        self.programs: list[subprocess.Popen[bytes]] = []
        self.log: IO[bytes] = (directory / "console.log").open("ab")
        names = [("bootstrap", "bootstrap", 9)]
        names += [(f"control-plane-{n}", "control-plane", 10 + n) for n in range(control_plane)]
        names += [(f"compute-{n}", "compute", 20 + n) for n in range(compute)]
        self.machines = {name: self.machine(name, role, number) for name, role, number in names}
        self.binary = node.build()
        self.registry = f"{self.network}.1"
        certificates = registry.certificates(directory / "registry", self.registry)
        self.image = f"{self.registry}:5000/okd/scos-release@{registry.digest()}"
        self.set = directory / "set"
        make_set(
            self.set,
            image=self.image,
            control_plane=control_plane,
            trust=certificates.read_text(),
            manifests={**scheduler(compute == 0), **(manifests or {})},
            registry_host=f"{self.registry}:5000",
        )
        self.kubeconfig = self._dialling(self.set / "auth/kubeconfig", directory / "kubeconfig")

    @property
    def api(self) -> Document:
        """Where the API is, as the host agent's documents have it."""
        return {"url": f"https://api.{DOMAIN}:6443", "address": self.balancer}

    @property
    def balancer(self) -> str:
        return f"{self.network}.254"

    def machine(self, name: str, role: str, number: int) -> Machine:
        return Machine(name, role, f"{self.network}.{number}", self.directory / name)

    def of_role(self, *roles: str) -> list[Machine]:
        return [machine for machine in self.machines.values() if machine.role in roles]

    def add_compute(self, number: int) -> Machine:
        """One more compute machine, not started; the load balancer does not know it."""
        made = self.machine(f"compute-{number}", "compute", 20 + number)
        self.machines[made.name] = made
        return made

    # Power.

    def begin(self) -> None:
        """Start registry and load balancer, then every machine."""
        self.start_services()
        for name in self.machines:
            self.start(name)

    def start_services(self) -> None:
        words = [sys.executable, "-m", "tests.node.registry", str(self.directory / "registry"), self.registry]
        self.programs.append(self._popen(words))
        config = self.directory / "haproxy.cfg"
        config.write_text(balancer(self.balancer, list(self.machines.values())))
        self.programs.append(self._popen([HAPROXY, "-db", "-f", str(config)]))

    def start(self, name: str) -> None:
        """Power a machine on: it applies its ignition config unless it did before, and plays its part."""
        machine = self.machines[name]
        assert machine.process is None, f"{name} runs"
        machine.root.mkdir(parents=True, exist_ok=True)
        ignite = [str(self.binary), "ignite", "--config", str(self.set / machine.config), "--root", str(machine.root)]
        ignite += ["--api-int", self.balancer]
        words = [str(self.binary), "node", "--root", str(machine.root), "--address", machine.address]
        words += ["--hostname", machine.fqdn, "--uuid", machine.uuid, "--api-int", f"{self.balancer}:6443"]
        words += [f"--late={self.late}"]
        script = f"{' '.join(ignite)} && exec {' '.join(words)}"
        machine.process = self._popen(["sh", "-c", script])

    def power_off(self, *names: str) -> None:
        """End machines at once, as a power cut does; all of them where none is named."""
        for name in names or self.machines:
            machine = self.machines[name]
            if machine.process:
                os.killpg(machine.process.pid, signal.SIGKILL)
                machine.process.wait()
                machine.process = None

    def shut_down(self, *names: str) -> None:
        """End machines as `systemctl poweroff` does."""
        for name in names:
            process = self.machines[name].process
            assert process, f"{name} does not run"
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)
            self.machines[name].process = None

    def close(self) -> None:
        self.power_off()
        for program in self.programs:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        self.log.close()
        os.close(self.lock)

    # Asking it.

    def oc(self, *words: str, check: bool = True, stdin: str = "") -> str:
        """What the real client prints."""
        argv = [str(release.oc()), f"--kubeconfig={self.kubeconfig}", "--request-timeout=120s", *words]
        done = subprocess.run(self.argv(argv), input=stdin, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"oc {' '.join(words)}: {done.stderr}"
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def objects(self, *words: str) -> list[Document]:
        """The items of `oc get WORDS`."""
        found: list[Document] = json.loads(self.oc("get", *words, "-o", "json"))["items"]
        return found

    def installer(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The real openshift-install on a copy of the set whose kubeconfig dials the load balancer."""
        copy = self.directory / "install"
        if not copy.exists():
            subprocess.run(["cp", "-a", str(self.set), str(copy)], check=True)
            self._dialling(self.set / "auth/kubeconfig", copy / "auth/kubeconfig")
        argv = self.argv([str(tools.installer()), *words, "--dir", str(copy), "--log-level", "debug"])
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=3 * PATIENCE_SECONDS)

    def approve(self) -> list[str]:
        """Approve what is pending, as a careless administrator would; the names."""
        listed = json.loads(self.oc("get", "csr", "-o", "json", check=False) or "{}").get("items", [])
        pending = [row["metadata"]["name"] for row in listed if not row.get("status", {}).get("conditions")]
        if pending:
            self.oc("adm", "certificate", "approve", *pending)
        return pending

    def ready(self) -> set[str]:
        """The names of the nodes that are Ready; none while the API is silent."""
        text = self.oc("get", "nodes", "--no-headers", check=False)
        rows = [line.split() for line in text.splitlines()]
        return {row[0].partition(".")[0] for row in rows if len(row) > 1 and row[1].split(",")[0] == "Ready"}

    def until(self, what: str, holds: Callable[[], object], *, approving: bool = False) -> None:
        """Wait until something holds."""
        began = time.monotonic()
        while True:
            if approving:
                self.approve_quietly()
            if holds():
                return
            assert time.monotonic() - began < PATIENCE_SECONDS, f"{what}: never\n{self.last_words()}"
            time.sleep(0.5)

    def approve_quietly(self) -> None:
        """Approve while the API may be silent."""
        with suppress(AssertionError, ValueError):
            self.approve()

    def install(self) -> None:
        """From nothing to a cluster whose version is Available, approving every request."""
        self.begin()
        self.until("bootstrap complete", self.bootstrap_complete, approving=True)
        self.until("version available", self.available, approving=True)

    def bootstrap_complete(self) -> bool:
        words = ["get", "configmap", "-n", "kube-system", "bootstrap", "-o", "jsonpath={.data.status}"]
        return self.oc(*words, check=False) == "complete"

    def member_removed(self) -> bool:
        """Whether the cluster says that the bootstrap's member of the store is removed."""
        path = 'jsonpath={.status.conditions[?(@.type=="EtcdBootstrapMemberRemoved")].status}'
        return self.oc("get", "etcds.operator.openshift.io", "cluster", "-o", path, check=False) == "True"

    def available(self) -> bool:
        path = 'jsonpath={.status.conditions[?(@.type=="Available")].status}'
        return self.oc("get", "clusterversion", "version", "-o", path, check=False) == "True"

    def last_words(self) -> str:
        """The end of every machine's journal."""
        return "\n".join(f"== {name}\n" + "".join(m.log().splitlines(True)[-8:]) for name, m in self.machines.items())

    def _popen(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        argv = self.argv(words)
        return subprocess.Popen(argv, stdout=self.log, stderr=self.log, start_new_session=True)

    def _dialling(self, source: Path, target: Path) -> Path:
        """A kubeconfig that dials the load balancer and expects the API's name of it."""
        config = yaml.safe_load(source.read_text())
        for row in config["clusters"]:
            row["cluster"] |= {"server": f"https://{self.balancer}:6443", "tls-server-name": f"api.{DOMAIN}"}
        target.write_text(yaml.safe_dump(config))
        target.chmod(0o600)
        return target


@contextmanager
def cluster(directory: Path, **how: Any) -> Iterator[Cluster]:
    """A cluster that ends with the block."""
    made = Cluster(directory, **how)
    try:
        yield made
    finally:
        made.close()


def _network() -> tuple[int, str]:
    """A network 127.0.N that no other cluster on this machine has, and the descriptor of the lock that says so."""
    for number in range(10, 250):
        lock = os.open(f"/tmp/okd-libvirt-cluster-{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return lock, f"127.0.{number}"
    raise AssertionError("every loopback network is taken")
