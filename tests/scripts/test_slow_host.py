"""A host that is slow: what takes long is waited for, said, done once; what is gone fails at once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.scripts.host import Host
from tests.scripts.test_deliver import document, page, row

pytestmark = pytest.mark.daemons

DELAYED = ("haproxy", "curl")
# Notes each call, then calls the real program late.
WRAPPER = """\
#!/bin/sh
echo "$(basename "$0") $*" >> /run/delayed
sleep {seconds}
exec {program} "$@"
"""


def delay(host: Host, seconds: float) -> None:
    """Have the parser, the health probe and every start of a unit take so much longer, and noted."""
    for name in DELAYED:
        program = host.run("which", name).strip()
        host.write(f"/usr/local/sbin/{name}", WRAPPER.format(seconds=seconds, program=program), "755")
    host.sh("mkdir /mnt/fake; mv /mnt/sbin/systemctl /mnt/fake; ln -sf /mnt/fake/systemctl /mnt/sbin/journalctl")
    host.write(
        "/mnt/sbin/systemctl",
        f"""\
        #!/bin/sh
        case " $* " in *" start "*) echo "start" >> /run/delayed; sleep {seconds};; esac
        exec /mnt/fake/systemctl "$@"
        """,
        "755",
    )


def delivered_late(host: Host, seconds: float) -> str:
    delay(host, seconds)
    done = host.agent("deliver", document=document())
    assert done.returncode == 0, done.stdout + done.stderr
    assert page(host) == "one"
    noted = [line.split()[0] for line in host.read("/run/delayed").splitlines()]
    # One parser, one start, one probe that asks by curl, and this test's own look at the page.
    assert sorted(noted) == ["curl", "curl", "haproxy", "start"], "nothing that was done is done again"
    return done.stdout


def test_what_takes_long_is_done_once_and_said_meanwhile(host: Host) -> None:
    told = delivered_late(host, 7)
    for what in ("haproxy -c", "start of balancer.service", "answers"):
        assert f"waiting for {what} (" in told, told


@pytest.mark.extended
def test_every_check_start_and_probe_may_take_a_minute_and_a_half_longer(host: Host) -> None:
    told = delivered_late(host, 90)
    assert len(re.findall(r"waiting for haproxy -c", told)) > 10


def test_no_more_bundles_are_checked_at_a_time_than_the_host_has_processors(host: Host) -> None:
    check = "echo begin >> /run/turns; sleep 1; echo end >> /run/turns"

    def checked(number: int) -> dict[str, Any]:
        return {
            "service": f"page-{number}",
            "files": [row(f"/etc/haproxy/page-{number}", ["a page"])],
            "checks": [{"name": "slow", "argv": ["sh", "-c", check]}],
        }

    agents = [host.start_agent("deliver", checked(number)) for number in range(6)]
    for agent in agents:
        output, errors = agent.communicate(timeout=600)
        assert agent.returncode == 0, output + errors
    processors, at_once, most = int(host.run("nproc")), 0, 0
    for line in host.read("/run/turns").splitlines():
        at_once += 1 if line == "begin" else -1
        most = max(most, at_once)
    assert 1 <= most <= processors


def unit_files(*units: str, more: str = "") -> dict[str, Any]:
    """The bundle of unit files, which starts nothing."""
    lines = [
        "[Service]",
        "ExecStart=/bin/sleep 6000",
        *([more] if more else []),
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return {
        "service": "units",
        "files": [row(f"/etc/systemd/system/{unit}", lines) for unit in units],
        "units": list(units),
        "restart_on": ["/etc/systemd/system/*.service"],
        "starts": False,
    }


def test_unit_files_are_read_once_and_start_nothing(host: Host) -> None:
    done = host.agent("deliver", document=unit_files("one.service", "two.service"))
    assert done.returncode == 0
    assert "nothing (no unit runs by a file that changed)" in done.stdout
    assert host.calls() == ["daemon-reload"]


def test_only_a_daemon_that_runs_by_a_file_that_changed_is_restarted(host: Host) -> None:
    assert host.agent("deliver", document=unit_files("one.service", "two.service")).returncode == 0
    host.run("systemctl", "start", "one.service")
    host.calls()
    changed = unit_files("one.service", "two.service", more="Nice=5")
    changed["files"].append(row("/etc/systemd/system/two.service.d/okd-libvirt.conf", ["[Service]", "Restart=always"]))
    done = host.agent("deliver", document=changed)
    assert done.returncode == 0, done.stderr
    assert "restart (/etc/systemd/system/one.service needs it)" in done.stdout
    assert host.calls() == ["daemon-reload", "restart one.service"]
    changed["files"].append(row("/etc/systemd/system/one.service.d/okd-libvirt.conf", ["[Service]", "Restart=always"]))
    assert host.agent("deliver", document=changed).returncode == 0
    assert host.calls() == ["daemon-reload"], "additions to a unit restart nobody"


def test_a_daemon_that_ends_while_its_health_is_asked_for_fails_at_once(host: Host) -> None:
    host.agent("deliver", document=document())
    ends = document(
        "two",
        health=[{"name": "never", "argv": ["sh", "-c", "kill $(cat /run/fake-systemd/balancer.service/pid); exit 1"]}],
    )
    done = host.agent("deliver", document=ends)
    assert done.returncode == 1
    assert "stage 6/6 health failed: not running: balancer.service failed" in done.stderr
    assert page(host) == "one", "what was before is up again"


def test_a_daemon_that_keeps_ending_fails_at_once(host: Host) -> None:
    host.write(
        "/mnt/sbin/systemctl",
        """\
        #!/bin/sh
        case " $* " in
        *" show "*) echo "ActiveState=activating"; echo "UnitFileState=enabled"; echo "SubState=auto-restart"; echo "NRestarts=4";;
        esac
        """,
        "755",
    )
    done = host.agent("deliver", document=document())
    assert done.returncode == 1
    assert "not running: balancer.service activating" in done.stderr
