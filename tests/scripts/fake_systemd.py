#!/usr/bin/python3
"""systemctl and journalctl for a host without systemd: starts and reloads real daemons by pid.

Reads ExecStart, ExecReload and Type of unit files in /etc/systemd/system and /usr/lib/systemd/system; `oneshot` mount
units are mounted with mount(8). Every call is noted in /run/fake-systemd/calls.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/run/fake-systemd")
PLACES = [Path("/etc/systemd/system"), Path("/usr/lib/systemd/system")]


def setting(unit: str, key: str) -> str:
    for place in PLACES:
        if (place / unit).exists():
            for line in (place / unit).read_text().splitlines():
                if line.startswith(f"{key}="):
                    return line.partition("=")[2]
    return ""


def pid(unit: str) -> int:
    try:
        number = int((STATE / unit / "pid").read_text())
        os.kill(number, 0)
    except (OSError, ValueError):
        return 0
    return number


def state(unit: str) -> str:
    if setting(unit, "Where"):
        return "active" if os.path.ismount(setting(unit, "Where")) else "inactive"
    if pid(unit):
        return "active"
    return "failed" if (STATE / unit / "pid").exists() else "inactive"


def start(unit: str) -> int:
    if state(unit) == "active":
        return 0
    (STATE / unit).mkdir(parents=True, exist_ok=True)
    if setting(unit, "Where"):
        return subprocess.run(["mount", setting(unit, "What"), setting(unit, "Where")], check=False).returncode
    with (STATE / unit / "log").open("a") as log:
        daemon = subprocess.Popen(
            shlex.split(setting(unit, "ExecStart")),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (STATE / unit / "pid").write_text(str(daemon.pid))
    # A test may leave a command that shows that the daemon is up: until then it may end, however slow the machine is.
    shows = STATE / unit / "up"
    while shows.exists() and daemon.poll() is None and subprocess.run(["sh", shows], check=False).returncode:
        time.sleep(0.05)
    try:
        daemon.wait(0.4)
    except subprocess.TimeoutExpired:
        return 0
    print(f"Job for {unit} failed because the control process exited with error code.", file=sys.stderr)
    return 1


def stop(unit: str) -> int:
    if number := pid(unit):
        os.kill(number, signal.SIGTERM)
        while pid(unit):
            time.sleep(0.02)
    (STATE / unit / "pid").unlink(missing_ok=True)
    return 0


def enabled(unit: str) -> Path:
    return STATE / unit / "enabled"


def systemctl(arguments: list[str]) -> int:
    verb, *unit_names = [argument for argument in arguments if not argument.startswith("-")]
    with (STATE / "calls").open("a") as calls:
        calls.write(f"{' '.join([verb, *unit_names])}\n")
    if verb == "show":
        for number, unit in enumerate(unit_names):
            known = any((place / unit).exists() for place in PLACES)
            file_state = ("enabled" if enabled(unit).exists() else "disabled") if known else ""
            print("\n" * bool(number) + f"ActiveState={state(unit)}\nUnitFileState={file_state}")
        return 0
    if verb == "is-active":
        states = [state(unit) for unit in unit_names]
        print("\n".join(states))
        return 0 if "active" in states else 3
    if verb == "daemon-reload":
        # systemd takes seconds for it on an emulated processor.
        slow = STATE / "slow-reload"
        time.sleep(float(slow.read_text()) if slow.exists() else 0)
    code = 0
    for unit in unit_names:
        if verb == "enable":
            (STATE / unit).mkdir(parents=True, exist_ok=True)
            enabled(unit).touch()
        elif verb == "disable":
            enabled(unit).unlink(missing_ok=True)
        elif verb == "start":
            code |= start(unit)
        elif verb == "stop":
            code |= stop(unit)
        elif verb == "restart":
            code |= stop(unit) or start(unit)
        elif verb == "reload":
            command = setting(unit, "ExecReload").replace("$MAINPID", str(pid(unit)))
            code |= subprocess.run(shlex.split(command), check=False).returncode
    return code


def journalctl(arguments: list[str]) -> int:
    units = [arguments[index + 1] for index, argument in enumerate(arguments) if argument == "--unit"]
    logs = [str(STATE / unit / "log") for unit in units if (STATE / unit / "log").exists()]
    if "--follow" in arguments:
        os.execvp("tail", ["tail", "-q", "-n", "+1", "-F", *(str(STATE / unit / "log") for unit in units)])
    return subprocess.run(["tail", "-q", "-n", "15", *logs], check=False).returncode if logs else 0


if __name__ == "__main__":
    STATE.mkdir(parents=True, exist_ok=True)
    called = systemctl if Path(sys.argv[0]).name == "systemctl" else journalctl
    sys.exit(called(sys.argv[1:]))
