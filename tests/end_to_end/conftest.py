"""A clone of this checkout with a lab of its own, so that a stack that somebody runs here is left alone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import release
from tests.conftest import ROOT

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.end_to_end)


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
    """A checkout with its own lab. Every command's output is kept in `transcript` for the search for secrets."""

    root: Path
    transcript: list[str] = field(default_factory=list)

    def run(self, *argv: str, stdin: str | None = None, timeout: float = 1800, apart: bool = False) -> Finished:
        """Run a command in the clone's root, outside the lab; `apart` leaves stderr out of the text."""
        started = time.monotonic()
        # The make that runs the tests must not make an inner one print the directories it enters.
        inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        environment = {**inherited, "PYTHONPATH": str(self.root), "CI": "true"}
        with (self.root / "command.out").open("w+") as output, (self.root / "command.err").open("w+") as errors:
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

    def stack(self, verb: str, *, apart: bool = False) -> Finished:
        """`make <verb>` for the dev stack, as the Makefile runs it."""
        return self.run("make", verb, apart=apart)

    def inside(self, *argv: str, timeout: float = 1800) -> Finished:
        """Run a command inside the clone's lab."""
        return self.run(sys.executable, "-m", "lab.hypervisor", "enter", "--", *argv, timeout=timeout)

    def pulumi(self, *words: str) -> Finished:
        """Run plain `pulumi` inside the lab, as `make shell` would."""
        return self.inside(
            "env", "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true", "pulumi", *words, "--non-interactive"
        )  # fmt: skip

    def oc(self, *words: str, stdin: str | None = None, user: str = "admin") -> Finished:
        """Run the real oc inside the lab, with the stack's kubeconfig and the API's name known.

        `user` is the installer's own, or "bootstrap": what a machine is before it has a certificate of its own.
        """
        place = self.root / ".lab" / f"test-kubeconfig-{user}"
        hosts = self.root / ".lab" / "test-hosts"
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

    def on_services(self, command: str, stdin: str | None = None) -> Finished:
        """Run a shell command on the services host over SSH with the stack's own key and pinned host key."""
        key, known = self.root / ".lab" / "test-key", self.root / ".lab" / "test-known-hosts"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(self.output("servicesSshKey"))
            known.write_text(f"{self.uplink} {self.output('servicesHostKey')}\n")
        ssh = ["ssh", "-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
        argv = [*ssh, "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", f"okd@{self.uplink}", command]
        return self.run(sys.executable, "-m", "lab.hypervisor", "enter", "--", *argv, stdin=stdin)

    @property
    def uplink(self) -> str:
        """The services host's uplink address."""
        return str(self.output("servicesUplinkAddress"))

    @property
    def settings_file(self) -> Path:
        return self.root / "Pulumi.dev.yaml"

    def change_settings(self, change: Any) -> str:
        """Edit the dev stack's settings in place; returns the old text."""
        before = self.settings_file.read_text()
        document = yaml.safe_load(before)
        change(document["config"])
        self.settings_file.write_text(yaml.safe_dump(document, sort_keys=False))
        return before


def secrets_of(value: Any) -> Iterator[str]:
    """Every secret text in an exported state with secrets shown."""
    if isinstance(value, dict):
        if SECRET_SIGNATURE in value and "plaintext" in value:
            yield from _texts(json.loads(value["plaintext"]))
        else:
            for inner in value.values():
                yield from secrets_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_of(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


@pytest.fixture(scope="session")
def host_before() -> dict[str, str]:
    """What stands on this machine before the clone's lab is started."""
    return host_snapshot()


def host_snapshot() -> dict[str, str]:
    """Links, addresses, firewall rules, mounts and namespaces of this machine that a lab could leave behind."""

    def shown(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    return {
        "links": shown("ip", "-o", "link").replace("\\", "\n"),
        "addresses": "\n".join(line.split("valid_lft")[0] for line in shown("ip", "-o", "addr").splitlines()),
        "firewall": shown("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "namespaces": shown("ip", "netns", "list"),
    }


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


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, host_before: dict[str, str]) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("clone", numbered=True)) as made:
        yield made


@pytest.fixture(scope="session")
def libvirt_before(clone: Clone) -> str:
    """What the libvirt host holds before the stack is brought up."""
    clone.stack("hypervisor").ok()
    return clone.on_libvirt()


@pytest.fixture(scope="session")
def up(clone: Clone, libvirt_before: str) -> Finished:
    """The dev stack, brought up once for all tests by `make up`."""
    return clone.stack("up").ok()


@pytest.fixture(autouse=True)
def _stack(up: Finished) -> None:
    """Every test here needs the stack."""
