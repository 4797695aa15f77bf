"""A services host without a virtual machine: namespaces of its own, real daemons, a small systemctl."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_SECONDS

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "scripts"
# dash as the first process collects the daemons that their parents left.
SETUP = f"""
set -e
mount -t tmpfs -o mode=755 host /mnt
cp -a /etc /mnt/etc
mkdir -p /mnt/var/lib/dpkg /mnt/var/lib/apt /mnt/var/log /mnt/var/cache /mnt/var/www /mnt/sbin
mkdir -m 1777 /mnt/var/tmp
ln -s /run /mnt/var/run
mount --bind /var/lib/dpkg /mnt/var/lib/dpkg
mount --bind /mnt/etc /etc
mount --rbind /mnt/var /var
mount -t tmpfs -o mode=755,nosuid,nodev run /run
mount -t tmpfs -o mode=755 srv /srv
cp {HERE}/fake_systemd.py /mnt/sbin/systemctl
chmod 755 /mnt/sbin/systemctl
ln -s systemctl /mnt/sbin/journalctl
mount -t tmpfs -o mode=755 local /usr/local
mkdir /usr/local/sbin
mount --bind /mnt/sbin /usr/local/sbin
mount -t sysfs sysfs /sys
ip link set lo up
echo ready
sleep infinity & wait
"""


class Host:
    """The namespaces and what runs in them; everything dies with `close`."""

    def __init__(self) -> None:
        argv = [
            "unshare",
            "--mount",
            "--net",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            SETUP,
        ]
        self.keeper = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert self.keeper.stdout
        assert self.keeper.stdout.readline() == b"ready\n", "the namespaces cannot be made"
        children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children")
        self.first = int(children.read_text().split()[0])
        self.scripts = str(SCRIPTS)

    def close(self) -> None:
        self.keeper.kill()
        self.keeper.wait()

    def argv(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", f"--target={self.first}", "--mount", "--net", "--uts", "--pid", "--", *argv]

    def run(self, *argv: str, stdin: str = "", check: bool = True) -> str:
        """What a command prints on stdout and stderr."""
        done = subprocess.run(
            self.argv(argv), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}"
        return done.stdout

    def sh(self, script: str, check: bool = True) -> str:
        return self.run("sh", "-c", script, check=check)

    def agent_argv(self, *arguments: str, before: Sequence[str] = ()) -> list[str]:
        return self.argv(
            [*before, "env", f"PYTHONPATH={self.scripts}", "/usr/bin/python3", "-m", "okd_host", *arguments]
        )

    def waits(self, **seconds: float) -> None:
        """Have limits of the agent's table end after so many seconds on this host: `waits(HEALTH=2)`."""
        if self.scripts == str(SCRIPTS):
            self.scripts = "/mnt/agent"
            self.sh(f"mkdir {self.scripts}")
            self.run("cp", "-aL", f"{SCRIPTS}/okd_host", f"{self.scripts}/okd_host")
        for name, end in seconds.items():
            change = rf"s/^{name} = (Wait|Try|Glance)\([0-9. *]+,/{name} = \1({end},/"
            self.run("sed", "-E", "-i", change, f"{self.scripts}/okd_host/limits.py")
            assert f"{name} = " in self.run("grep", f"^{name} = .*({end},", f"{self.scripts}/okd_host/limits.py")

    def start_agent(self, verb: str, document: Any) -> subprocess.Popen[str]:
        """The agent at work; `kill_agent` ends it as a crash would."""
        agent = subprocess.Popen(
            self.agent_argv(verb, before=("sh", "-c", 'echo $$ > /run/agent-pid; exec "$@"', "sh")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert agent.stdin
        agent.stdin.write(json.dumps(document))
        agent.stdin.close()
        agent.stdin = None
        return agent

    def kill_agent(self) -> None:
        self.sh("kill -9 $(cat /run/agent-pid)")

    def agent(self, *arguments: str, document: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.agent_argv(*arguments), input=json.dumps(document), capture_output=True, text=True, check=False
        )
        sys.stdout.write(done.stdout + done.stderr)
        return done

    def write(self, path: str, text: str, mode: str = "644") -> None:
        self.run(
            "sh",
            "-c",
            f"mkdir -p $(dirname {path}) && cat > {path} && chmod {mode} {path}",
            stdin=textwrap.dedent(text),
        )

    def read(self, path: str) -> str:
        return self.run("cat", path)

    def calls(self) -> list[str]:
        """What systemctl was asked to do since the last time, `show` aside."""
        asked = self.run("sh", "-c", "cat /run/fake-systemd/calls; rm -f /run/fake-systemd/calls", check=False)
        return [line for line in asked.splitlines() if not line.startswith("show") and "No such file" not in line]

    def eventually(self, script: str) -> str:
        """The output of a shell script once it succeeds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = subprocess.run(self.argv(["sh", "-c", script]), capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < deadline, f"never: {script}\n{done.stdout}{done.stderr}"
            time.sleep(0.1)


def wait_for(agent: subprocess.Popen[str], text: str) -> str:
    """What the agent has printed once `text` is in it."""
    assert agent.stdout
    seen = ""
    while text not in seen:
        line = agent.stdout.readline()
        assert line, f"{text!r} never came: {seen}"
        seen += line
    return seen
