"""A machine's shell: the real ssh against the real sshd, which runs nothing of what it is asked for."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.scripts.host import Host

pytestmark = pytest.mark.daemons
UUID = "6f2c1a2e-0000-4000-8000-000000000001"
ANSWER = '#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in *wait*) sleep 60;; *fail*) exit 7;; esac\necho "asked: $SSH_ORIGINAL_COMMAND"\n'


class Server:
    """One sshd after the other on the same port: a machine before and after it is installed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (place / "answer").write_text(ANSWER)
        (place / "answer").chmod(0o755)
        self.key("login")

    def key(self, name: str) -> Path:
        path = self.place / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path

    def start(self, host_key: str, admits: str = "login.pub") -> None:
        self.stop()
        config = self.place / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.key(host_key)}\nPidFile none\nUsePAM no\n"
            f"StrictModes no\nAuthorizedKeysFile {self.place / admits}\nPasswordAuthentication no\n"
            f"PermitRootLogin yes\nForceCommand {self.place / 'answer'}\n"
        )
        # A /run of its own: sshd wants a directory there.
        script = 'mount -t tmpfs run /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -f "$0"'
        self._process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "sshd does not start"
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def shell(agent: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = agent.load("installation.shell")
    monkeypatch.setattr(module, "PORT", server.port)
    # There is no user core on this machine.
    monkeypatch.setattr(module, "USER", "root")
    key = Path(module.login_key())
    key.parent.mkdir(parents=True)
    key.write_bytes((server.place / "login").read_bytes())
    key.chmod(0o600)
    return module


@pytest.fixture
def row(agent: Any) -> Callable[..., Any]:
    kind = agent.load("installation.rows").Row

    def make(uuid: str = "", name: str = "compute-0") -> Any:
        return kind(name, f"{name}.okd.example", "compute", "127.0.0.1", "52:54:00:00:00:01", uuid)

    return make


def test_a_command_is_run_with_the_stacks_own_key(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    assert shell.run(row(), "sudo journalctl -n 1") == (0, "asked: sudo journalctl -n 1")
    assert shell.answers(row())


def test_the_commands_own_exit_code_is_told_from_a_failed_login(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    assert shell.run(row(), "fail").code == 7
    server.start("second", admits="nobody")
    assert shell.run(row(UUID), "true").code == 255
    server.stop()
    assert shell.run(row(), "true").code == 255
    assert not shell.answers(row())


def test_without_a_login_key_it_says_so(shell: Any, server: Server, row: Any) -> None:
    Path(shell.login_key()).unlink()
    done = shell.run(row(), "true")
    assert done.code == 255
    assert shell.login_key() in done.output


def test_a_command_that_takes_too_long_is_ended(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    # Long enough for a login on a slow machine, and shorter than what it does.
    assert shell.run(row(), "wait", 10.0).code == 124


def test_a_changed_host_key_is_refused_and_the_way_out_is_named(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    assert shell.answers(row(UUID))
    server.start("second")
    done = shell.run(row(UUID), "true")
    assert done.code == 255
    assert "compute-0 shows another host key" in done.output
    remembered = Path(done.output.rpartition("remove ")[2])
    remembered.unlink()
    assert shell.answers(row(UUID))


def test_first_logins_side_by_side_all_succeed(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda n: shell.run(row(UUID), f"echo {n}").code, range(8)))
    assert codes == [0] * 8


def test_a_host_key_that_another_first_login_has_kept_stays(
    shell: Any, server: Server, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start("first")
    kept = Path(shell.KNOWN) / "127.0.0.1"
    login = shell.commands.run

    def slow(argv: Any, **given: Any) -> Any:
        done = login(argv, **given)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("kept by the other\n")
        return done

    monkeypatch.setattr(shell.commands, "run", slow)
    assert shell.run(row(), "true").code == 0
    assert kept.read_text() == "kept by the other\n"


def test_a_machine_that_is_not_installed_yet_leaves_no_host_key_behind(shell: Any, server: Server, row: Any) -> None:
    server.start("live", admits="nobody")
    assert not shell.answers(row(UUID))
    server.start("installed")
    assert shell.answers(row(UUID))


def test_another_machine_at_the_address_has_keys_of_its_own(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    assert shell.answers(row(UUID))
    server.start("second")
    assert shell.answers(row(UUID.replace("6f2c", "7f2c")))
    # Who does not know the UUID goes by what was learnt last.
    assert shell.answers(row())


def test_a_forgotten_machine_may_come_back_with_other_keys(shell: Any, server: Server, row: Any) -> None:
    server.start("first")
    assert shell.answers(row())
    shell.forget(row())
    shell.forget(row())
    server.start("second")
    assert shell.answers(row())


@pytest.mark.parametrize(
    ("code", "output", "told"),
    [
        (0, "", True),
        (255, "Connection to 127.0.0.1 closed by remote host.", True),
        (255, "Timeout, server 127.0.0.1 not responding.", True),
        (255, "client_loop: send disconnect: Broken pipe", True),
        (255, "core@127.0.0.1: Permission denied (publickey).", False),
        (255, "kex_exchange_identification: Connection closed by remote host", False),
        (255, "Connection closed by 127.0.0.1 port 22", False),
        (1, "Failed to power off system: access denied", False),
    ],
)
def test_a_shutdown_that_cuts_the_connection_is_told_from_one_that_was_never_heard(
    shell: Any, row: Any, agent: Any, code: int, output: str, told: bool
) -> None:
    shell.run = lambda row, command, *_, **__: agent.load("commands").Result(code, output)
    assert (shell.power_off(row()).code == 0) is told


def test_the_last_line_of_a_journal_or_why_there_is_none(shell: Any, row: Any, agent: Any) -> None:
    answers = [(0, "earlier\nNov 21 kubelet: last\n\n"), (0, ""), (255, "No route to host")]
    result = agent.load("commands").Result
    shell.run = lambda row, command, *_, **__: result(*answers.pop(0))
    assert shell.last_line(row(), "kubelet") == "Nov 21 kubelet: last"
    assert shell.last_line(row(), "kubelet") == "the journal of compute-0 is empty for -u kubelet"
    assert shell.last_line(row()) == "compute-0 gives no journal over SSH: No route to host"


@pytest.fixture(scope="module")
def link() -> Iterator[Host]:
    """A services host with one neighbour, a machine at 192.168.77.2 whose SSH refuses connections."""
    host = Host()
    host.sh(
        "ip netns add machine && ip link add cluster type veth peer name card netns machine && "
        "ip address add 192.168.77.1/24 dev cluster && ip link set cluster up && "
        "ip -n machine address add 192.168.77.2/24 dev card && ip -n machine link set card up"
    )
    yield host
    host.close()


def is_off(host: Host, limit: float) -> bool:
    """Whether the agent takes the machine for off."""
    code = (
        "from okd_host.installation import rows, shell\n"
        f"row = rows.Row('m', 'm.x', 'compute', '192.168.77.2', '')\nprint(shell.is_off(row, {limit}))\n"
    )
    return host.run("env", f"PYTHONPATH={ROOT / 'scripts'}", "/usr/bin/python3", "-c", code) == "True\n"


@pytest.mark.parametrize("limit", [4.5, 1.5])
def test_a_machine_without_power_is_off_though_it_answered_a_moment_ago(link: Host, limit: float) -> None:
    assert not is_off(link, limit)
    # The link stays, as that of a bridge does: there is nobody to answer for the address.
    link.sh("ip -n machine address del 192.168.77.2/24 dev card")
    off = is_off(link, limit)
    link.sh("ip -n machine address add 192.168.77.2/24 dev card")
    assert off


def test_a_machine_that_ignores_connections_is_not_off(link: Host) -> None:
    link.sh("ip netns exec machine nft add table ip filter && "
            "ip netns exec machine nft 'add chain ip filter in { type filter hook input priority 0; policy drop; }'")  # fmt: skip
    try:
        assert not is_off(link, 1.5)
    finally:
        link.sh("ip netns exec machine nft delete table ip filter")
