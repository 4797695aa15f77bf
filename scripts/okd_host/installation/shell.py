"""A machine's shell: commands over SSH as `core`, whether it answers, and whether it is off.

Owns the login key's place and the host keys, remembered at the first login and held against every later one. A row
that tells the domain's UUID tells machines apart: one with another UUID is new, and has keys of its own.
Does not own what is asked of a machine.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from okd_host import commands, files, limits
from okd_host.installation.rows import Row

USER = "core"
PORT = 22
LOGIN_KEY = ("machines", "login-key")
KNOWN = os.path.join(files.STATE, "known-nodes")
# ssh's own word for a connection that failed; everything else is the command's.
UNREACHABLE = 255
# ssh's words for a connection that ended after the login.
CUT = re.compile(r"Connection to \S+ closed by remote host|server \S+ not responding|client_loop: ")
# Seconds between ssh's questions whether the machine is still there.
ALIVE = 15
# One look in which nothing answers may be a machine too busy to answer.
LOOKS = 3
POLL = 1.0
HEARTBEAT = 10.0


def login_key() -> str:
    """The path of the private key that every machine's ignition config admits."""
    return files.secret(*LOGIN_KEY)


def _alone(row: Row) -> AbstractContextManager[None]:
    """Be the only process that touches what is remembered of the machine: verbs side by side log in to one machine."""
    return files.turn(f"host-key-{row.address}", 1, lambda what: None)


def _remembered(row: Row) -> str:
    """The file with the host keys of the machine; those of another machine with this address are forgotten."""
    path = os.path.join(KNOWN, row.address)
    if not row.uuid:
        return path
    with _alone(row):
        owner = ""
        with suppress(OSError), open(f"{path}.uuid") as file:
            owner = file.read().strip()
        if owner != row.uuid:
            _forget(row)
            os.makedirs(KNOWN, exist_ok=True)
            files.write_now(f"{path}.uuid", f"{row.uuid}\n".encode())
    return path


def _remember(path: str, seen: str, row: Row) -> None:
    """Keep the host keys in the file `seen`, unless another first login has kept them meanwhile."""
    with open(seen, "rb") as file:
        content = file.read()
    with _alone(row):
        if not os.path.exists(path):
            os.makedirs(KNOWN, exist_ok=True)
            files.write_now(path, content)


def forget(row: Row) -> None:
    """Forget the host keys of a machine that is gone for good."""
    with _alone(row):
        _forget(row)


def _forget(row: Row) -> None:
    for suffix in ("", ".uuid"):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(KNOWN, row.address) + suffix)


def _argv(row: Row, command: str, known: str, strict: str, limit: float, silence: float) -> list[str]:
    options = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={known}",
        "GlobalKnownHostsFile=/dev/null",
        f"StrictHostKeyChecking={strict}",
        f"ConnectTimeout={max(1, int(min(limit, limits.MACHINE_LOGIN.seconds)))}",
        f"ServerAliveInterval={ALIVE}",
        f"ServerAliveCountMax={max(1, int(silence / ALIVE))}",
        "LogLevel=ERROR",
    ]
    flags = [part for option in options for part in ("-o", option)]
    target = f"{USER}@{row.address}"
    return ["ssh", "-F", "/dev/null", "-i", login_key(), "-p", str(PORT), *flags, target, command]


def run(
    row: Row,
    command: str,
    limit: float = limits.MACHINE_SHELL.seconds,
    heartbeat: Callable[[], None] | None = None,
    silence: float = limits.MACHINE_LOGIN.seconds,
) -> commands.Result:
    """Run `command` on the machine for at most `limit` seconds; code 255 when there was no login. Never raises.

    A connection on which nothing comes for `silence` seconds, not even an answer to ssh's own question, is cut.

    Host keys are remembered once a login has succeeded: before it is installed, a machine has others.
    """
    if not os.path.exists(login_key()):
        return commands.Result(UNREACHABLE, f"there is no login key on this host ({login_key()})")
    remembered = _remembered(row)
    if os.path.exists(remembered):
        done = commands.run(_argv(row, command, remembered, "yes", limit, silence), limit=limit, heartbeat=heartbeat)
        if done.code == UNREACHABLE and "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.output:
            why = f"{row.name} shows another host key than before; if it was installed anew, remove {remembered}"
            return commands.Result(UNREACHABLE, why)
        return done
    with tempfile.TemporaryDirectory() as directory:
        seen = os.path.join(directory, "seen")
        done = commands.run(_argv(row, command, seen, "accept-new", limit, silence), limit=limit, heartbeat=heartbeat)
        if done.code not in (UNREACHABLE, 124, 127) and os.path.exists(seen):
            _remember(remembered, seen, row)
    return done


def answers(row: Row, limit: float = limits.MACHINE_SHELL.seconds) -> bool:
    """Whether the machine can be logged in to."""
    return run(row, "true", limit).code == 0


def is_off(row: Row, limit: float = limits.NEIGHBOUR.seconds) -> bool:
    """Whether nothing at the machine's address answers within `limit` seconds, not even for the address itself."""
    # What the neighbour table still knows would be believed for half a minute.
    commands.run(["ip", "neigh", "flush", "to", row.address])
    try:
        socket.create_connection((row.address, PORT), timeout=limit).close()
    except socket.timeout:
        words = commands.run(["ip", "neigh", "show", "to", row.address]).output.split()
        return bool({"INCOMPLETE", "FAILED"}.intersection(words))
    except OSError as error:
        return error.errno in (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH)
    return False


def surely_off(row: Row) -> bool:
    """Whether nothing has answered at the machine's address in several looks, one after another."""
    return all(is_off(row) for _ in range(LOOKS))


def power_off(row: Row) -> commands.Result:
    """Tell the machine to shut down; a connection that ends by it is no failure."""
    done = run(row, "sudo systemctl poweroff", silence=limits.GOING_OFF.seconds)
    cut = done.code == UNREACHABLE and bool(CUT.search(done.output))
    return commands.Result(0, done.output) if cut else done


def await_off(row: Row, limit: float, waiting: Callable[[str], None]) -> bool:
    """Wait until the machine is off; whether it is. Calls `waiting` with its name about every ten seconds."""
    deadline, said = time.monotonic() + limit, time.monotonic()
    while not is_off(row):
        if time.monotonic() > deadline:
            return False
        if time.monotonic() - said >= HEARTBEAT:
            said = time.monotonic()
            waiting(f"{row.name} to be off")
        time.sleep(POLL)
    return True


def last_line(row: Row, *units: str) -> str:
    """The last line of the machine's journal, of these units where any are named; why there is none otherwise."""
    selected = "".join(f" -u {unit}" for unit in units)
    done = run(row, f"sudo journalctl --quiet --no-pager --lines=1{selected}")
    lines = [line for line in done.output.splitlines() if line.strip()]
    if done.code:
        return f"{row.name} gives no journal over SSH: {lines[-1] if lines else f'exit {done.code}'}"
    return lines[-1] if lines else f"the journal of {row.name} is empty{selected and f' for {selected.strip()}'}"
