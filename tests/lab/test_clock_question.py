"""The miniature machine asks what time it is: a busy machine's clock is not called wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.image import boot

# An SNTP server of the test's own namespace that is AHEAD seconds ahead, then the question of the boot image.
ASKED = """
import socket, struct, subprocess, sys, threading, time
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 123))

def answer():
    while True:
        question, peer = server.recvfrom(1024)
        assert question == b"\\x23" + bytes(47), question
        seconds, part = divmod(time.time() + 100.0 + 2208988800, 1)
        server.sendto(bytes(40) + struct.pack("!II", int(seconds), int(part * 2**32)), peer)

threading.Thread(target=answer, daemon=True).start()
sys.exit(subprocess.run(["bash", sys.argv[1], "127.0.0.1"]).returncode)
"""


@pytest.mark.daemons
@pytest.mark.parametrize("late", [0, 2], ids=["idle", "busy"])
def test_a_busy_machine_reads_the_clock_of_its_time_server_right(tmp_path: Path, late: int) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    # The first programs start late, as beside busy neighbours.
    (programs / "dd").write_text(
        f'#!/bin/sh\n/bin/dd "$@"\n[ "$(wc -l <{tmp_path}/late)" -ge {late} ] || sleep 3\necho >>{tmp_path}/late\n'
    )
    (programs / "dd").chmod(0o755)
    (tmp_path / "late").touch()
    told = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", ASKED, boot.SCRIPTS / "sntp"],
        env={"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert abs(float(told.stdout) - 100) < 1
