"""The real engine in a home and a state of its own, and an sshd on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.checkout import LAB, ROOT
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

PULUMI = LAB / "bin" / "pulumi"


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Everything here needs the tools; a missing one is a failure that says what to do."""
    for path in (PULUMI, LAB / "bin" / "pulumi-language-python", LAB / "pulumi-home" / "plugins"):
        assert path.exists(), f"{path} is missing: run `make toolchain`"


class Engine:
    """A project with a stack `test` in a directory of its own."""

    def __init__(self, directory: Path, virtualenv: Path = ROOT / ".venv") -> None:
        self.directory = directory
        home = directory / "home"
        home.mkdir()
        (home / "plugins").symlink_to(LAB / "pulumi-home" / "plugins")
        (directory / "state").mkdir()
        self.project = directory / "project"
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text(
            f"name: sample\nruntime:\n  name: python\n  options: {{virtualenv: {virtualenv}}}\n"
        )
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"},
            "PATH": f"{LAB / 'bin'}:{os.environ['PATH']}:/usr/sbin",
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "for tests only",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.run("stack", "init", "test")

    def program(self, text: str) -> None:
        """Write the program's text."""
        (self.project / "__main__.py").write_text(f"import pulumi\n{text}")

    def run(self, *words: str, fails: bool = False, stdin: str | None = None) -> str:
        """Run pulumi and return what it printed; a wrong outcome fails the test with all of it."""
        done = subprocess.run(
            [PULUMI, *words, "--non-interactive", "--color=never"],
            cwd=self.project,
            env=self.environment,
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"pulumi {' '.join(words)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def up(self, *words: str, fails: bool = False) -> str:
        """Bring the stack up."""
        return self.run("up", "--yes", "--skip-preview", *words, fails=fails)

    def unchanged(self) -> None:
        """A preview must find nothing to do."""
        self.run("preview", "--expect-no-changes", "--diff")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets shown."""
        text = self.run("stack", "output", "--json", "--show-secrets")
        outputs: dict[str, Any] = json.loads(text)
        return outputs

    def state(self) -> str:
        """The exported state."""
        return self.run("stack", "export")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine with an empty stack."""
    return Engine(tmp_path)


class Sshd:
    """An OpenSSH server on loopback whose only user is the one that runs the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        for name in ("host", "other-host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", directory / name], check=True
            )
        (directory / "authorized").write_text((directory / "user.pub").read_text())
        (directory / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {directory / 'host'}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {directory / 'authorized'}\nStrictModes no\nPermitRootLogin yes\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv TAKEN PULUMI_COMMAND_*\n"
            "Subsystem sftp internal-sftp\nMaxStartups 50\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it listens."""
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", self.directory / "config"], stdout=log, stderr=log
            )
        while self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.directory / "log").read_text())

    def stop(self) -> None:
        """Stop the server."""
        if self.process:
            self.process.terminate()
            self.process.wait()

    def connection(self, **changes: Any) -> str:
        """A connection's arguments, as a dict display for a program."""
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": os.environ.get("USER") or "root",
            "private_key": (self.directory / "user").read_text(),
            "host_key": (self.directory / "host.pub").read_text().strip(),
        }
        return repr({name: value for name, value in {**values, **changes}.items() if value is not None})


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A running server."""
    directory = tmp_path / "sshd"
    directory.mkdir()
    server = Sshd(directory)
    server.start()
    yield server
    server.stop()
