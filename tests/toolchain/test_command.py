"""The command plugin: local and remote commands and copies, over a real sshd on loopback."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.toolchain.conftest import PULUMI, Engine, Sshd
from tests.toolchain.plugin import Plugin

pytestmark = pytest.mark.toolchain

LOCAL = "command:local:Command"
REMOTE = "command:remote:Command"
COPY = "command:remote:CopyToRemote"
RUN = "command:local:run"


@pytest.fixture(scope="module")
def command() -> Iterator[Plugin]:
    """The plugin without an engine."""
    with Plugin.started("command") as plugin:
        yield plugin


def test_a_local_command_gets_what_it_was_given(command: Plugin, tmp_path: Path) -> None:
    _, state = command.create(
        LOCAL,
        {
            "create": "import os, sys; print(os.getcwd(), os.environ['GIVEN'], sys.stdin.read()); sys.stderr.write('e\\n')",
            "interpreter": ["python3", "-c"],
            "dir": str(tmp_path),
            "environment": {"GIVEN": "taken"},
            "stdin": "typed",
        },
    )
    assert (state["stdout"], state["stderr"]) == (f"{tmp_path} taken typed", "e")


@contextmanager
def _shown(command: Plugin, line: str, go: Path) -> Iterator[None]:
    """Once the line is shown, make the file that its command waits for."""
    command.logged.clear()
    seen = []

    def watch() -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not seen and time.monotonic() < deadline:
            seen.extend(text for text in command.logged if text == line)
            time.sleep(0.02)
        go.touch()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()
    assert seen, f"{line!r} was not shown while the command ran"


def test_output_streams_while_the_command_runs(command: Plugin, tmp_path: Path) -> None:
    wait = f"until test -e {tmp_path}/go; do sleep 0.05; done"
    with _shown(command, "first", tmp_path / "go"):
        command.create(LOCAL, {"create": f"echo first; echo problem >&2; {wait}; echo second; printf unfinished"})
    assert set(command.logged) == {"first", "problem", "second", "unfinished"}


@pytest.mark.parametrize(
    ("logging", "shown"),
    [("none", []), ("stdout", ["out"]), ("stderr", ["err"]), ("stdoutAndStderr", ["err", "out"])],
)
def test_logging_chooses_what_is_shown_and_not_what_is_kept(command: Plugin, logging: str, shown: list[str]) -> None:
    command.logged.clear()
    _, state = command.create(LOCAL, {"create": "echo out; echo err >&2", "logging": logging})
    assert sorted(command.logged) == shown
    assert (state["stdout"], state["stderr"]) == ("out", "err")


def test_an_unknown_logging_is_refused(command: Plugin) -> None:
    assert '"loud" is none of' in " ".join(command.check(LOCAL, {"create": "true", "logging": "loud"}))
    assert '"loud" is none of' in command.invoke_fails(RUN, {"command": "true", "logging": "loud"})


def test_a_failure_tells_the_end_of_stderr_and_not_the_command(command: Plugin) -> None:
    told = command.create_fails(LOCAL, {"create": "for n in $(seq 100); do echo line $n >&2; done; : PRIVATE; exit 7"})
    assert "exit status 7" in told
    assert "line 100" in told
    assert "line 80\n" not in told
    assert "PRIVATE" not in told
    assert "is no directory" in command.create_fails(LOCAL, {"create": "true", "dir": "/nowhere"})


def test_files_come_back_as_assets_and_as_one_archive(command: Plugin, tmp_path: Path) -> None:
    make = "mkdir -p src/deep; echo a > src/a.txt; echo b > src/deep/b.txt; echo s > src/secret.txt; echo c > c.md"
    globs = {"assetPaths": ["src/*.txt", "!**secret.*"], "archivePaths": ["**", "!c.md"]}
    result = command.invoke(RUN, {"command": make, "dir": str(tmp_path), **globs})
    assert set(result["assets"]) == {"src/a.txt"}
    assert set(result["archive"]["assets"]) == {"src/a.txt", "src/deep/b.txt", "src/secret.txt"}
    assert (result["command"], result["stdout"]) == (make, "")


def _connection(sshd: Sshd, **changes: Any) -> dict[str, Any]:
    values = {
        "host": "127.0.0.1",
        "port": sshd.port,
        "privateKey": (sshd.directory / "user").read_text(),
        "hostKey": (sshd.directory / "host.pub").read_text(),
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def test_a_remote_command_over_a_pinned_host_key(command: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    wait = f"until test -e {tmp_path}/go; do sleep 0.05; done"
    with _shown(command, "first", tmp_path / "go"):
        _, state = command.create(
            REMOTE,
            {
                "connection": _connection(sshd),
                "create": f"echo first; {wait}; echo $TAKEN; cat; echo e >&2",
                "environment": {"TAKEN": "taken"},
                "stdin": "typed",
            },
        )
    assert (state["stdout"], state["stderr"]) == ("first\ntaken\ntyped", "e")
    assert "taken" in command.logged


def test_another_host_key_is_refused_at_once(command: Plugin, sshd: Sshd) -> None:
    other = (sshd.directory / "other-host.pub").read_text()
    told = command.create_fails(REMOTE, {"connection": _connection(sshd, hostKey=other), "create": "true"})
    assert "another machine answers, or it was rebuilt with another key" in told
    assert "gave up after" not in told, "it was tried again"
    connection = _connection(sshd, hostKey="nonsense")
    assert "hostKey" in command.create_fails(REMOTE, {"connection": connection, "create": "true"})


def test_without_a_host_key_any_is_taken(command: Plugin, sshd: Sshd) -> None:
    _, state = command.create(REMOTE, {"connection": _connection(sshd, hostKey=None), "create": "echo in"})
    assert state["stdout"] == "in"


def test_a_host_without_the_users_key_is_not_entered(command: Plugin, sshd: Sshd) -> None:
    stranger = (sshd.directory / "other-host").read_text()
    connection = _connection(sshd, privateKey=stranger, dialErrorLimit=0)
    told = command.create_fails(REMOTE, {"connection": connection, "create": "true"})
    assert "unable to authenticate" in told
    assert "BEGIN" not in told


def test_an_encrypted_key_and_an_agent_open_the_door(command: Plugin, sshd: Sshd) -> None:
    locked = sshd.directory / "locked"
    locked.write_bytes((sshd.directory / "user").read_bytes())
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "word", "-f", locked], check=True)
    encrypted = _connection(sshd, privateKey=locked.read_text(), privateKeyPassword="word")
    assert command.create(REMOTE, {"connection": encrypted, "create": "echo in"})[1]["stdout"] == "in"
    wrong = _connection(sshd, privateKey=locked.read_text(), privateKeyPassword="no")
    assert "privateKey" in command.create_fails(REMOTE, {"connection": wrong, "create": "true"})

    agent = sshd.directory / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL) as process:
        while not agent.exists():
            time.sleep(0.05)
        key = sshd.directory / "user"
        subprocess.run(["ssh-add", "-q", key], env={"SSH_AUTH_SOCK": str(agent)}, check=True, capture_output=True)
        through = _connection(sshd, privateKey=None, agentSocketPath=str(agent))
        assert command.create(REMOTE, {"connection": through, "create": "echo in"})[1]["stdout"] == "in"
        process.terminate()
    gone = _connection(sshd, privateKey=None, agentSocketPath="/nowhere")
    assert "agentSocketPath" in command.create_fails(REMOTE, {"connection": gone, "create": "true"})


def test_a_host_behind_another(command: Plugin, sshd: Sshd) -> None:
    through = _connection(sshd, proxy=_connection(sshd))
    assert command.create(REMOTE, {"connection": through, "create": "echo in"})[1]["stdout"] == "in"
    other = (sshd.directory / "other-host.pub").read_text()
    broken = _connection(sshd, proxy=_connection(sshd, hostKey=other))
    told = command.create_fails(REMOTE, {"connection": broken, "create": "true"})
    assert told.startswith("proxy: ")


def test_a_host_that_comes_up_later_is_waited_for(command: Plugin, sshd: Sshd) -> None:
    sshd.stop()
    waiter = threading.Timer(2, sshd.start)
    waiter.start()
    _, state = command.create(REMOTE, {"connection": _connection(sshd), "create": "echo in"})
    waiter.join()
    assert state["stdout"] == "in"


def test_the_number_of_attempts_and_their_length_are_limited(command: Plugin, sshd: Sshd) -> None:
    sshd.stop()
    told = command.create_fails(REMOTE, {"connection": _connection(sshd, dialErrorLimit=0), "create": "true"})
    assert "gave up after 1 attempts" in told
    told = command.create_fails(REMOTE, {"connection": _connection(sshd, dialErrorLimit=1), "create": "true"})
    assert "gave up after 2 attempts" in told

    with socket.create_server(("127.0.0.1", sshd.port)):
        silent = _connection(sshd, dialErrorLimit=0, perDialTimeout=1)
        begin = time.monotonic()
        assert "deadline exceeded" in command.create_fails(REMOTE, {"connection": silent, "create": "true"})
        assert time.monotonic() - begin > 0.9


def test_a_variable_that_the_server_does_not_take_is_an_error(command: Plugin, sshd: Sshd) -> None:
    inputs = {"connection": _connection(sshd), "create": "true", "environment": {"REFUSED": "SECRET"}}
    told = command.create_fails(REMOTE, inputs)
    assert "AcceptEnv" in told
    assert "SECRET" not in told


def test_a_remote_failure_tells_the_end_of_stderr(command: Plugin, sshd: Sshd) -> None:
    failing = "echo why it failed >&2; exit 3"
    told = command.create_fails(REMOTE, {"connection": _connection(sshd), "create": failing})
    assert re.search(r"exited with status 3:\nwhy it failed", told)
    killed = command.create_fails(REMOTE, {"connection": _connection(sshd), "create": "kill -9 $$"})
    assert "signal KILL" in killed


def _text(text: str) -> dict[str, str]:
    special = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
    return {**special, "text": text, "hash": str(hash(text))}


def _file(path: Path, *, archive: bool = False) -> dict[str, str]:
    kind = "0def7320c3a5731c473e5ecbe6d01bc7" if archive else "c44067f5952c0a294b673a41bacd8c17"
    return {"4dabf18193072939515e22adb298388d": kind, "path": str(path), "hash": str(path)}


def test_texts_files_and_directories_are_copied(command: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    there, connection = tmp_path / "there", _connection(sshd)

    def copy(source: dict[str, str], target: Path) -> None:
        command.create(COPY, {"connection": connection, "source": source, "remotePath": str(target)})

    copy(_text("hello"), there / "a" / "text")
    assert (there / "a" / "text").read_text() == "hello"
    here = tmp_path / "here"
    (here / "deep").mkdir(parents=True)
    (here / "one").write_bytes(bytes(range(256)) * 5000)
    (here / "deep" / "two").write_text("2")
    copy(_file(here / "one"), there / "a")
    copy(_file(here / "one"), there / "a" / "text")
    assert (there / "a" / "one").read_bytes() == (there / "a" / "text").read_bytes() == (here / "one").read_bytes()
    copy(_file(here, archive=True), there / "new")
    assert (there / "new" / "deep" / "two").read_text() == "2"
    copy(_file(here, archive=True), there / "a")
    assert (there / "a" / "here" / "deep" / "two").read_text() == "2"

    onto_file = {"connection": connection, "source": _file(here, archive=True), "remotePath": str(there / "a" / "one")}
    assert "is a file" in command.create_fails(COPY, onto_file)
    onto_dir = {"connection": connection, "source": _text("x"), "remotePath": str(there)}
    assert "is a directory" in command.create_fails(COPY, onto_dir)


def test_sources_that_cannot_be_copied_are_refused_in_the_preview(command: Plugin, sshd: Sshd) -> None:
    special = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
    remote = {**special, "uri": "https://example.com/x", "hash": "x"}
    inputs = {"connection": _connection(sshd), "remotePath": "/x", "source": remote}
    assert "must be a FileAsset" in " ".join(command.check(COPY, inputs))


LIFE = """
import pulumi_command as command
import pulumi_random as random
connection = CONNECTION
password = random.RandomPassword("password", length=40, special=False)
first = command.remote.Command(
    "first", connection=connection, create="echo created$PULUMI_COMMAND_STDOUT", update=UPDATE, delete="DELETE",
    triggers=[TRIGGER], stdin=STDIN)
secret = command.remote.Command(
    "secret", connection=connection, create="wc -c; echo hidden-$(cat FILE)", stdin=password.result, logging="none",
    opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
copy = command.remote.CopyToRemote(
    "copy", connection=connection, source=pulumi.StringAsset("text"), remote_path="COPIED")
local = command.local.Command("local", create="echo local", delete="echo deleted >> FILE.log")
pulumi.export("first", first.stdout)
pulumi.export("secret", secret.stdout)
pulumi.export("password", password.result)
pulumi.export("local", local.stdout)
"""


def test_the_life_of_commands_in_the_engine(engine: Engine, sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in-the-file")

    def program(**changes: str) -> None:
        text = LIFE.replace("CONNECTION", sshd.connection()).replace("FILE", str(file))
        text = text.replace("COPIED", str(tmp_path / "copied"))
        values = {"UPDATE": "None", "TRIGGER": "1", "STDIN": "None", "DELETE": "true", **changes}
        for name, value in values.items():
            text = text.replace(name, value)
        engine.program(text)

    program()
    shown = engine.up()
    engine.unchanged()
    out = engine.outputs()
    assert (out["first"], out["local"]) == ("created", "local")
    assert out["secret"].split() == ["40", "hidden-in-the-file"]
    assert (tmp_path / "copied").read_text() == "text"
    held = shown + engine.state()
    for secret in (out["password"], "hidden-in", *_lines(sshd.directory / "user")):
        assert secret not in held

    program(STDIN="'x'")
    assert "1 updated" in engine.up()
    assert engine.outputs()["first"] == "createdcreated"  # the previous output was in the environment

    program(STDIN="'x'", UPDATE="'echo updated'")
    assert "1 updated" in engine.up()
    assert engine.outputs()["first"] == "updated"

    program(STDIN="'x'", UPDATE="'echo updated'", TRIGGER="2", DELETE=f"echo $PULUMI_COMMAND_STDOUT > {tmp_path}/gone")
    assert "1 replaced" in engine.up()
    assert engine.outputs()["first"] == "created"

    engine.run("destroy", "--yes", "--skip-preview")
    assert (tmp_path / "gone").read_text() == "created\n"
    assert Path(f"{file}.log").read_text() == "deleted\n"


def test_an_interrupted_update_ends_its_local_command(engine: Engine, tmp_path: Path) -> None:
    engine.program(f"""
import pulumi_command as command
command.local.Command("local", create="echo $$ > {tmp_path}/pid; sleep 1200")
""")
    argv = [str(PULUMI), "up", "--yes", "--skip-preview", "--non-interactive"]
    with subprocess.Popen(argv, cwd=engine.project, env=engine.environment, stdout=subprocess.DEVNULL) as process:
        pid = _pid(tmp_path / "pid")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SECONDS) != 0
    assert not Path(f"/proc/{pid}").exists()


def _pid(path: Path) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.1)
    return int(path.read_text())


def _lines(key: Path) -> list[str]:
    return key.read_text().strip().splitlines()[1:-1]
