"""A clone of this checkout with a lab of its own, so that a stack that somebody runs here is left alone."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import release
from tests.conftest import ROOT
from tests.patience import UPDATE_SECONDS


@dataclass
class Finished:
    """One command that ended: exit code, everything it printed, and how long it took in seconds."""

    code: int
    text: str
    seconds: float

    def ok(self) -> Finished:
        assert self.code == 0, f"exit code {self.code}\n{self.text[-6000:]}"
        return self


@dataclass
class Clone:
    """A checkout with its own lab, seen from one stack. Everything printed is kept in `transcript`.

    The dev stack's commands are a newcomer's: they name neither the stack nor the lab.
    """

    root: Path
    transcript: list[str] = field(default_factory=list)
    name: str = "dev"

    def beside(self, name: str) -> Clone:
        """Another stack of the same checkout, in the same lab."""
        return Clone(self.root, self.transcript, name)

    def run(
        self, *argv: str, stdin: str | None = None, timeout: float = UPDATE_SECONDS, apart: bool = False
    ) -> Finished:
        """Run a command in the clone's root, outside the lab; `apart` leaves stderr out of the text."""
        started = time.monotonic()
        environment = self._environment()
        with self._file("command.out").open("w+") as output, self._file("command.err").open("w+") as errors:
            done = subprocess.run(
                argv, cwd=self.root, env=environment, input=stdin, stdout=output,
                stderr=errors if apart else output, text=True, timeout=timeout, check=False,
            )  # fmt: skip
            output.seek(0)
            errors.seek(0)
            text = output.read()
            self.transcript += [text, errors.read()]
        seconds = time.monotonic() - started
        print(f"\n$ {' '.join(argv)[:150]}  (exit {done.returncode}, {seconds:.1f} s)", file=sys.stderr)
        return Finished(done.returncode, text, seconds)

    def _environment(self) -> dict[str, str]:
        # The make that runs the tests must not make an inner one print the directories it enters.
        inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        return {**inherited, "PYTHONPATH": str(self.root), "CI": "true"}

    def _file(self, name: str) -> Path:
        return self.root / f"{self.name}-{name}"

    def stack(self, verb: str, *, apart: bool = False) -> Finished:
        """`make <verb>` for the stack, as the Makefile runs it."""
        return self.run(*self._make(verb), apart=apart)

    def _make(self, verb: str) -> list[str]:
        return ["make", verb, *([] if self.name == "dev" else [f"STACK={self.name}", "LAB=1"])]

    def killed_when(self, sign: str) -> str:
        """Start `make up` and kill it, the engine and its plugins once `sign` (regex) is shown; the line that did."""
        seen: list[str] = []
        with subprocess.Popen(
            self._make("up"), cwd=self.root, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        ) as engine:  # fmt: skip
            assert engine.stdout is not None
            for line in engine.stdout:
                seen.append(line)
                if re.search(sign, line):
                    os.killpg(engine.pid, signal.SIGKILL)
                    break
        self.transcript += seen
        assert re.search(sign, seen[-1]), f"{sign} was never shown\n{''.join(seen[-200:])}"
        return seen[-1]

    def inside(self, *argv: str, timeout: float = UPDATE_SECONDS) -> Finished:
        """Run a command inside the clone's lab."""
        return self.run(sys.executable, "-m", "lab.hypervisor", "enter", "--", *argv, timeout=timeout)

    def pulumi(self, *words: str) -> Finished:
        """Run plain `pulumi` inside the lab, as `make shell` would."""
        settings = ["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true", f"PULUMI_STACK={self.name}"]
        return self.inside("env", *settings, "pulumi", *words, "--non-interactive")

    def oc(self, *words: str, stdin: str | None = None, user: str = "admin") -> Finished:
        """Run the real oc inside the lab, with the stack's kubeconfig and the API's name known.

        `user` is the installer's own, or "bootstrap": what a machine is before it has a certificate of its own.
        """
        place = self.private(f"kubeconfig-{user}")
        hosts = self.private("hosts")
        if not place.exists():
            place.touch(mode=0o600)
            place.write_text(self.output("kubeconfig") if user == "admin" else self._bootstrap_kubeconfig())
            hosts.write_text(f"127.0.0.1 localhost\n{self.uplink} {self.output('apiUrl')[8:].partition(':')[0]}\n")
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        argv = ["unshare", "--mount", "sh", "-c", script, str(hosts), str(release.oc()), f"--kubeconfig={place}"]
        return self.run(sys.executable, "-m", "lab.hypervisor", "enter", "--", *argv, *words, stdin=stdin)

    def _bootstrap_kubeconfig(self) -> str:
        """The kubeconfig that the real installer gives to new machines, at the address that the kubeconfig names."""
        kept = "sudo cat /var/lib/okd-registry/okd-libvirt/install/bootstrap.ign"
        config = json.loads(self.on_services(kept).ok().text)
        del self.transcript[-2:]
        (one,) = [file for file in config["storage"]["files"] if file["path"].endswith("/auth/kubeconfig-kubelet")]
        text = base64.b64decode(one["contents"]["source"].partition("base64,")[2]).decode()
        return text.replace("https://api-int.", "https://api.")

    def output(self, name: str) -> Any:
        """One output of the stack, in the clear; not kept in the transcript."""
        text = self.pulumi("stack", "output", "--json", "--show-secrets").ok().text
        del self.transcript[-2:]
        return json.loads(text)[name]

    def state(self) -> dict[str, Any]:
        """The exported state with its secrets in the clear; not kept in the transcript."""
        text = self.pulumi("stack", "export", "--show-secrets").ok().text
        del self.transcript[-2:]
        exported: dict[str, Any] = json.loads(text)
        return exported

    def on_libvirt(self) -> str:
        """Every domain, network, pool and volume of the lab's libvirt, and the files that it keeps of them."""
        listing = "for kind in list net-list pool-list; do virsh $kind --all --name; done; "
        listing += "find /var/lib/libvirt /etc/libvirt /run/libvirt -type f -not -name '*.pid' -not -name '*.log'"
        kept = self.inside("sh", "-ec", listing).ok().text
        return "\n".join(sorted(line for line in kept.splitlines() if line.strip()))

    def resources(self) -> dict[str, dict[str, Any]]:
        """The stack's resources by name, as the state has them."""
        return {one["urn"].rsplit("::", 1)[1]: one for one in self.state()["deployment"]["resources"]}

    def changes(self) -> dict[str, str]:
        """What a preview would do, by resource name; what stays the same is left out."""
        text = self.pulumi("preview", "--json").ok().text
        steps = json.loads(text[text.index("{") :])["steps"]
        return {one["urn"].rsplit("::", 1)[1]: one["op"] for one in steps if one["op"] != "same"}

    def private(self, name: str) -> Path:
        """Where the tests themselves keep something of the stack: no leak."""
        return self.root / ".lab" / f"test-{self.name}-{name}"

    def on_services(self, command: str, stdin: str | None = None) -> Finished:
        """Run a shell command on the services host over SSH with the stack's own key and pinned host key."""
        key, known = self.private("key"), self.private("known-hosts")
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(self.output("servicesSshKey"))
            known.write_text(f"{self.uplink} {self.output('servicesHostKey')}\n")
        ssh = ["ssh", "-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
        argv = [*ssh, "-o", "ConnectTimeout=120", "-o", "BatchMode=yes", f"okd@{self.uplink}", command]
        return self.run(sys.executable, "-m", "lab.hypervisor", "enter", "--", *argv, stdin=stdin)

    @property
    def uplink(self) -> str:
        """The services host's uplink address."""
        return str(self.output("servicesUplinkAddress"))

    @property
    def settings_file(self) -> Path:
        return self.root / f"Pulumi.{self.name}.yaml"

    def change_settings(self, change: Any) -> str:
        """Edit the stack's settings in place; returns the old text."""
        before = self.settings_file.read_text()
        document = yaml.safe_load(before)
        change(document["config"])
        self.settings_file.write_text(yaml.safe_dump(document, sort_keys=False))
        return before


@contextmanager
def cloned(place: Path) -> Iterator[Clone]:
    """The working tree as git sees it, with this checkout's virtual environment linked in; its lab ends with it."""
    root = place / "okd-libvirt"
    root.mkdir()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    made = Clone(root)
    try:
        yield made
    finally:
        if (root / ".lab" / "hypervisor").exists():
            made.run(sys.executable, "-m", "lab.hypervisor", "down")
