"""What a miniature machine runs, as processes on this machine: ignition configs and the SSH server."""

from __future__ import annotations

import base64
import contextlib
import datetime
import functools
import gzip
import hashlib
import http.server
import ipaddress
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import node
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port


@pytest.fixture(scope="module")
def program() -> Path:
    return node.build()


def data(content: bytes) -> str:
    return f"data:;base64,{base64.b64encode(content).decode()}"


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Root:
    """A machine's file tree, and the config that is applied to it."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program, self.directory = program, directory
        self.config = directory.with_name("config.ign")

    def argv(self, config: dict[str, Any] | str) -> list[str]:
        self.config.write_text(config if isinstance(config, str) else json.dumps(config))
        return [str(self.program), "ignite", "--config", str(self.config), "--root", str(self.directory)]

    def ignite(self, config: dict[str, Any] | str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [*self.argv(config), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    def read(self, path: str) -> str:
        return (self.directory / path).read_text()

    @property
    def journal(self) -> str:
        return self.read("var/log/messages")


@pytest.fixture
def root(program: Path, tmp_path: Path) -> Root:
    (tmp_path / "root").mkdir()
    return Root(program, tmp_path / "root")


def of(**parts: Any) -> dict[str, Any]:
    return {"ignition": {"version": "3.2.0", **parts.pop("ignition", {})}, **parts}


def files(**rows: dict[str, Any]) -> dict[str, Any]:
    return of(storage={"files": [{"path": f"/etc/{name}", **row} for name, row in rows.items()]})


def test_everything_that_a_config_brings_is_where_it_belongs(root: Root) -> None:
    (root.directory / "etc").mkdir()
    (root.directory / "etc/motd").write_text("as it was\n")
    digest = hashlib.sha512(b"plain").hexdigest()
    config = of(
        passwd={"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]}]},
        storage={
            "directories": [{"path": "/opt/tool", "mode": 0o700}],
            "files": [
                {
                    "path": "/opt/tool/plain",
                    "mode": 0o600,
                    "contents": {"source": data(b"plain"), "verification": {"hash": f"sha512-{digest}"}},
                },
                {
                    "path": "/opt/tool/small",
                    "contents": {"source": data(gzip.compress(b"large")), "compression": "gzip"},
                },
                {"path": "/etc/motd", "append": [{"source": data(b"and more\n")}]},
            ],
            "links": [{"path": "/opt/link", "target": "tool/plain"}],
        },
        systemd={
            "units": [
                {"name": "kubelet.service", "contents": "[Unit]\n", "enabled": True},
                {"name": "crio.service", "dropins": [{"name": "10-x.conf", "contents": "[Service]\n"}]},
                {"name": "zincati.service", "mask": True},
            ]
        },
    )
    assert root.ignite(config).returncode == 0
    assert (root.directory / "opt/tool").stat().st_mode & 0o777 == 0o700
    assert (root.directory / "opt/tool/plain").stat().st_mode & 0o777 == 0o600
    assert (root.directory / "opt/tool/small").stat().st_mode & 0o777 == 0o644
    assert root.read("opt/link") == "plain"
    assert root.read("opt/tool/small") == "large"
    assert root.read("etc/motd") == "as it was\nand more\n"
    assert root.read("home/core/.ssh/authorized_keys") == "ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n"
    units = root.directory / "etc/systemd/system"
    assert (units / "multi-user.target.wants/kubelet.service").read_text() == "[Unit]\n"
    assert (units / "crio.service.d/10-x.conf").read_text() == "[Service]\n"
    assert (units / "zincati.service").readlink() == Path("/dev/null")
    assert "Ignition finished: 3 files, 1 directories, 1 links, 3 units, 2 SSH keys" in root.journal


def test_a_config_is_applied_once(root: Root) -> None:
    assert root.ignite(files(one={"contents": {"source": data(b"first")}})).returncode == 0
    assert root.ignite(files(one={"contents": {"source": data(b"second")}})).returncode == 0
    assert root.read("etc/one") == "first"
    assert "applied before" in root.journal


def test_a_run_that_was_cut_off_is_begun_anew_without_appending_twice(root: Root) -> None:
    config = files(motd={"append": [{"source": data(b"line\n")}]})
    root.ignite(config)
    (root.directory / "etc/.ignition-result.json").unlink()
    assert root.ignite(config).returncode == 0
    assert root.read("etc/motd") == "line\n"
    assert "GET" not in root.journal


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("<html>", "invalid"),
        ({"ignition": {"version": "2.2.0"}}, "version"),
        (of(storage={"files": [{"path": "relative"}]}), "absolute"),
        (files(one={"contents": {"source": "s3://bucket/one"}}), "only data, http and https"),
        (files(one={"contents": {"source": data(b"s3cret"), "verification": {"hash": "sha256-" + "0" * 64}}}), "not 0"),
        (files(one={"user": {"name": "nobody"}, "contents": {"source": data(b"")}}), "owner nobody is unknown"),
    ],
)
def test_a_config_that_cannot_be_applied_is_refused_with_the_reason(
    root: Root, config: dict[str, Any] | str, reason: str
) -> None:
    done = root.ignite(config)
    assert done.returncode == 1
    assert "ignition: Ignition failed: " in done.stdout
    assert reason in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    assert base64.b64encode(b"s3cret").decode() not in done.stdout + done.stderr
    assert not (root.directory / "etc/.ignition-result.json").exists()


def test_the_fault_refuses_a_sound_config(root: Root) -> None:
    done = root.ignite(of(), "--fault", "ignition")
    assert done.returncode == 1
    assert "the config is invalid: refused on request (miniature.fault=ignition)" in done.stdout


class Authority:
    """A certificate for 127.0.0.1 that is its own authority, and servers that show it."""

    def __init__(self, directory: Path, name: str) -> None:
        key, who = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
        now = datetime.datetime.now(datetime.UTC)
        names: list[x509.GeneralName] = [x509.DNSName("api-int.okd.lab.example")]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        made = (
            x509.CertificateBuilder(who, who, key.public_key(), 1)
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.public = made.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(private + self.public)

    @contextlib.contextmanager
    def serving(self, directory: Path, port: int) -> Iterator[None]:
        handler = functools.partial(Quiet, directory=str(directory))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def pointer(url: str, *authorities: Authority) -> dict[str, Any]:
    trusted = [{"source": data(authority.public)} for authority in authorities]
    security = {"security": {"tls": {"certificateAuthorities": trusted}}} if trusted else {}
    return of(ignition={"config": {"merge": [{"source": url}]}, **security})


def test_a_pointer_is_followed_until_its_server_is_there_and_shows_a_certificate_of_its_authority(
    root: Root, tmp_path: Path
) -> None:
    right, wrong, port = Authority(tmp_path, "right"), Authority(tmp_path, "wrong"), free_port()
    (tmp_path / "config").mkdir()
    url = f"https://127.0.0.1:{port}/config/worker"
    with subprocess.Popen(root.argv(pointer(url, right)), stdout=subprocess.DEVNULL) as running:
        try:
            log = root.directory / "var/log/messages"
            eventually(lambda: log.exists() and "connection refused (attempt #1" in log.read_text(), "no first try")
            with wrong.serving(tmp_path, port):
                eventually(lambda: "x509: certificate signed by unknown authority" in root.journal, "trusted anybody")
            with right.serving(tmp_path, port):
                eventually(lambda: "404" in root.journal, "a missing config is not said")
                (tmp_path / "config" / "worker").write_text(json.dumps(files(one={"contents": {"source": data(b"1")}})))
                assert running.wait(PATIENCE_SECONDS) == 0
        finally:
            running.kill()
    assert root.read("etc/one") == "1"


def test_without_authorities_no_server_is_trusted(root: Root, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path, "own"), free_port()
    with authority.serving(tmp_path, port):
        argv = root.argv(pointer(f"https://127.0.0.1:{port}/own.pem"))
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as running:
            log = root.directory / "var/log/messages"
            try:
                eventually(lambda: log.exists() and "attempt #2" in log.read_text(), "it gives up")
            finally:
                running.kill()
    assert "unknown authority" in root.journal


def test_the_config_that_points_wins_over_the_one_it_points_to(root: Root, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path, "own"), free_port()
    (tmp_path / "below").write_text(
        json.dumps(files(one={"contents": {"source": data(b"1")}}, two={"contents": {"source": data(b"2")}}))
    )
    config = pointer(f"https://api-int.okd.lab.example:{port}/below", authority)
    config["storage"] = files(two={"contents": {"source": data(b"mine")}})["storage"]
    with authority.serving(tmp_path, port):
        assert root.ignite(config, "--api-int", "127.0.0.1").returncode == 0
    assert (root.read("etc/one"), root.read("etc/two")) == ("1", "mine")


class Shell:
    """A running SSH server and a client's key."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program, self.directory, self.port = program, directory, free_port()
        self.root, self.called = directory / "root", directory / "called"
        for name in ("login", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
        (self.root / "home/core/.ssh").mkdir(parents=True)
        keys = f"# those who may\n\n{(directory / 'login.pub').read_text()}"
        (self.root / "home/core/.ssh/authorized_keys").write_text(keys)
        (self.root / "etc").mkdir()
        (self.root / "etc/os-release").write_text('NAME="Miniature"\n')
        self.power = directory / "power"
        self.power.write_text(f'#!/bin/sh\necho "$1" >>{self.called}\n')
        self.power.chmod(0o755)

    @contextlib.contextmanager
    def serving(self, *words: str) -> Iterator[None]:
        address = ["--root", str(self.root), "--address", f"127.0.0.1:{self.port}"]
        argv = [str(self.program), "shell", *address, *words]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as running:
            try:
                eventually(lambda: self.ssh("true").returncode != 255 or running.poll() is not None, "no login")
                yield
            finally:
                running.terminate()
                assert running.wait(PATIENCE_SECONDS) == 0

    def ssh(self, command: str, key: str = "login", user: str = "core") -> subprocess.CompletedProcess[str]:
        options = [f"UserKnownHostsFile={self.directory / 'known'}", "StrictHostKeyChecking=accept-new"]
        options += ["BatchMode=yes", "IdentitiesOnly=yes", "LogLevel=ERROR"]
        words = [word for option in options for word in ("-o", option)]
        argv = ["ssh", "-F", "/dev/null", "-p", str(self.port), "-i", str(self.directory / key), *words]
        return subprocess.run(
            [*argv, f"{user}@127.0.0.1", command], capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )

    def journal(self, *lines: str) -> None:
        (self.root / "var/log").mkdir(parents=True, exist_ok=True)
        (self.root / "var/log/messages").write_text("".join(f"2026-11-21T10:00:00Z {line}\n" for line in lines))


@pytest.fixture(scope="module")
def shell(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    made = Shell(program, tmp_path_factory.mktemp("shell"))
    with made.serving("--power", str(made.power)):
        yield made


def test_only_core_with_a_key_that_is_let_in_logs_in(shell: Shell) -> None:
    assert shell.ssh("sudo true").returncode == 0
    assert shell.ssh("true", key="other").returncode == 255
    assert shell.ssh("true", user="root").returncode == 255


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("sudo journalctl --no-pager", ["kubelet: one", "etcd: two", "kubelet: three: four"]),
        ("journalctl -b -u kubelet.service", ["kubelet: one", "kubelet: three: four"]),
        ("journalctl -o short-iso --unit=etcd -u none", ["etcd: two"]),
        ("sudo -n journalctl --quiet --lines=1 -u kubelet", ["kubelet: three: four"]),
        ("journalctl --quiet -u crio", []),
    ],
)
def test_the_journal_is_shown_by_unit(shell: Shell, command: str, shown: list[str]) -> None:
    shell.journal("kubelet: one", "etcd: two", "kubelet: three: four")
    done = shell.ssh(command)
    assert done.returncode == 0
    lines = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if " sshd: " not in line]
    assert lines == shown


def test_a_unit_without_lines_says_so(shell: Shell) -> None:
    assert shell.ssh("journalctl -u crio").stdout == "-- No entries --\n"


def test_the_machine_says_who_and_when_it_is(shell: Shell) -> None:
    assert shell.ssh("hostname").stdout.strip() == socket.gethostname()
    before = int(time.time())
    assert before <= int(shell.ssh("date +%s").stdout) <= time.time()
    assert shell.ssh("cat /etc/os-release").stdout == 'NAME="Miniature"\n'
    assert " up " in shell.ssh("uptime").stdout


@pytest.mark.parametrize("command", ["cat /etc/shadow", "systemctl poweroff now", "true; id", "journalctlx", ""])
def test_any_other_command_is_refused_by_name(shell: Shell, command: str) -> None:
    done = shell.ssh(command)
    assert done.returncode == 127
    assert "miniature" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("sudo systemctl poweroff", "poweroff"),
        ("systemctl reboot", "reboot"),
        ("sudo shutdown -h now", "poweroff"),
        ("sudo shutdown -r +0", "reboot"),
    ],
)
def test_power_goes_where_it_is_told_after_the_client_has_its_answer(shell: Shell, command: str, what: str) -> None:
    shell.called.unlink(missing_ok=True)
    assert shell.ssh(command).returncode == 0
    eventually(lambda: shell.called.exists() and shell.called.read_text() == f"{what}\n", "nobody was called")


def test_a_shutdown_in_an_hour_does_nothing_now(shell: Shell) -> None:
    shell.called.unlink(missing_ok=True)
    assert shell.ssh("sudo shutdown -h +60").returncode == 0
    time.sleep(1)
    assert not shell.called.exists()


def test_a_process_never_powers_off_the_machine_it_runs_on_and_keeps_its_host_key(
    program: Path, tmp_path: Path
) -> None:
    one = Shell(program, tmp_path)
    with one.serving():
        done = one.ssh("sudo systemctl poweroff")
        assert done.returncode == 1
        assert "this is a process, not a machine" in done.stderr
    # The client remembers the key: another one would be refused.
    with one.serving():
        assert one.ssh("true").returncode == 0
    key = one.root / "etc/ssh/ssh_host_ed25519_key"
    assert key.stat().st_mode & 0o777 == 0o600
