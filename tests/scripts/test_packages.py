"""Packages from a real apt and a repository of the test's own; nothing of the machine changes."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.scripts.host import Host

pytestmark = pytest.mark.daemons

CONTROL = """\
Package: {name}
Version: 1.0
Architecture: all
Maintainer: test <test@example.com>
Description: {name}
"""
POSTINST = """\
#!/bin/sh
set -e
/usr/sbin/policy-rc.d okd-test start && echo started > /run/daemon || echo "policy said $?" > /run/policy
{more}
"""


@pytest.fixture
def repository(host: Host) -> Host:
    # Everything that dpkg and apt write goes to the test's own tmpfs.
    for directory in ("/usr", "/var/lib/dpkg", "/var/lib/apt"):
        layer = f"/mnt/layer{directory}"
        host.sh(f"mkdir -p {layer}/upper {layer}/work {directory}")
        host.sh(f"mount -t overlay o -o lowerdir={directory},upperdir={layer}/upper,workdir={layer}/work {directory}")
    host.sh("mkdir -p /usr/local/sbin && mount --bind /mnt/sbin /usr/local/sbin")
    # Some images come with a policy of their own.
    host.sh("rm -f /usr/sbin/policy-rc.d")
    host.sh(
        "rm -rf /etc/apt/sources.list* /etc/apt/apt.conf.d/*; mkdir -p /srv/repository /var/cache/apt/archives/partial"
    )
    host.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/repository ./\n")
    package(host, "okd-test-daemon", "")
    package(host, "okd-test-other", "")
    return host


def package(host: Host, name: str, more: str) -> None:
    host.write(f"/mnt/build/{name}/DEBIAN/control", CONTROL.format(name=name))
    host.write(f"/mnt/build/{name}/DEBIAN/postinst", POSTINST.format(more=more), "755")
    host.sh(f"dpkg-deb -b /mnt/build/{name} /srv/repository/{name}.deb")
    size, digest = host.sh(f"cd /srv/repository && stat -c %s {name}.deb && sha256sum < {name}.deb").split()[:2]
    control = host.sh(f"dpkg-deb -f /srv/repository/{name}.deb")
    entry = f"{control}Filename: ./{name}.deb\nSize: {size}\nSHA256: {digest}\n\n"
    host.run("sh", "-c", "cat >> /srv/repository/Packages", stdin=entry)


def test_what_is_missing_is_installed_without_starting_anything(repository: Host) -> None:
    names = ["okd-test-daemon", "okd-test-other", "coreutils"]
    done = repository.agent("packages", document={"manager": "apt", "names": names})
    assert done.returncode == 0
    assert "to install: okd-test-daemon, okd-test-other" in done.stdout
    assert "1 of 3 already installed, 2 installed now" in done.stdout
    assert repository.read("/run/policy") == "policy said 101\n"
    assert repository.sh("ls /run/daemon /usr/sbin/policy-rc.d", check=False).count("No such file") == 2
    again = repository.agent("packages", document={"manager": "apt", "names": names})
    assert "3 of 3 already installed, 0 installed now" in again.stdout


def test_a_failing_package_is_named_with_its_message_and_the_next_run_mends_it(repository: Host) -> None:
    package(repository, "okd-test-broken", "test -e /run/mended || { echo no room for okd >&2; exit 1; }")
    document = {"manager": "apt", "names": ["okd-test-broken"]}
    done = repository.agent("packages", document=document)
    assert done.returncode == 1
    assert "installation of okd-test-broken failed" in done.stderr
    assert "no room for okd" in done.stderr
    assert repository.sh("ls /usr/sbin/policy-rc.d", check=False).endswith("No such file or directory\n")
    repository.sh("touch /run/mended")
    assert repository.agent("packages", document=document).returncode == 0


def test_somebody_elses_policy_stays(repository: Host) -> None:
    repository.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 104\n", "755")
    repository.agent("packages", document={"manager": "apt", "names": ["okd-test-daemon"]})
    assert repository.read("/run/policy") == "policy said 104\n"
    assert repository.read("/usr/sbin/policy-rc.d") == "#!/bin/sh\nexit 104\n"


def test_a_package_that_nobody_has_is_named(repository: Host) -> None:
    done = repository.agent("packages", document={"manager": "apt", "names": ["okd-test-none"]})
    assert done.returncode == 1
    assert "Unable to locate package okd-test-none" in done.stderr
    assert "package sources" in done.stderr


HOLDER = """
import fcntl, os, sys, time
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    open("/run/held", "w").close()
    while not os.path.exists("/run/release"):
        time.sleep(0.05)
"""
# Gives up as apt-get does when somebody takes a lock just before it; the second call is the real one.
TOO_LATE = """\
#!/bin/sh
[ -e /run/late ] && exec /usr/bin/apt-get "$@"
touch /run/late
echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 712 (apt-get)' >&2
exit 100
"""


@pytest.mark.parametrize(
    "lock",
    [
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/dpkg/lock",
        "/var/lib/apt/lists/lock",
        "/var/cache/apt/archives/lock",
    ],
)
def test_whoever_holds_a_lock_is_named_and_waited_for(repository: Host, lock: str) -> None:
    holder = subprocess.Popen(repository.argv(["/usr/bin/python3", "-c", HOLDER, lock]))
    until(repository, "/run/held")
    agent = repository.start_agent("packages", {"manager": "apt", "names": ["okd-test-daemon"]})
    assert agent.stdout
    assert any(f"waiting for {lock}, held by python3 (pid " in line for line in agent.stdout)
    repository.sh("touch /run/release")
    assert "1 installed now" in agent.communicate(timeout=PATIENCE_SECONDS)[0]
    assert agent.returncode == 0
    holder.wait()


def until(host: Host, path: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while path not in host.sh(f"ls {path}", check=False).splitlines():
        assert time.monotonic() < deadline, path
        time.sleep(0.1)


def test_a_lock_that_somebody_takes_first_is_waited_for_as_well(repository: Host) -> None:
    repository.write("/usr/local/sbin/apt-get", TOO_LATE, "755")
    done = repository.agent("packages", document={"manager": "apt", "names": ["okd-test-daemon"]})
    assert done.returncode == 0
    assert "somebody took before apt-get" in done.stdout


def test_a_lock_that_is_never_given_back_is_told(repository: Host) -> None:
    repository.waits(PACKAGES=1)
    holder = subprocess.Popen(repository.argv(["/usr/bin/python3", "-c", HOLDER, "/var/lib/apt/lists/lock"]))
    until(repository, "/run/held")
    done = repository.agent("packages", document={"manager": "apt", "names": ["okd-test-daemon"]})
    assert done.returncode == 1
    assert "/var/lib/apt/lists/lock, held by python3 (pid " in done.stderr
    repository.sh("touch /run/release")
    holder.wait()


@pytest.fixture
def daily(repository: Host) -> Host:
    """A cloud image in its first minutes: one of apt's timers is off, one of its jobs at work."""
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "apt-daily.service"):
        repository.write(f"/etc/systemd/system/{unit}", "[Service]\nExecStart=sleep infinity\n")
    repository.sh("systemctl start apt-daily.timer apt-daily.service")
    repository.calls()
    return repository


def test_the_daily_jobs_are_held_back_and_their_timers_run_again_afterwards(daily: Host) -> None:
    done = daily.agent("packages", document={"manager": "apt", "names": ["okd-test-daemon"]})
    assert done.returncode == 0
    assert "held back meanwhile: apt-daily.timer, apt-daily.service" in done.stdout
    changes = [call for call in daily.calls() if not call.startswith("is-active")]
    assert changes == ["stop apt-daily.timer apt-daily.service", "start apt-daily.timer"]


def test_timers_that_a_killed_run_had_stopped_run_again_after_the_next(daily: Host) -> None:
    package(daily, "okd-test-slow", "touch /run/held; until [ -e /run/release ]; do sleep 0.1; done")
    agent = daily.start_agent("packages", {"manager": "apt", "names": ["okd-test-slow"]})
    until(daily, "/run/held")
    daily.kill_agent()
    agent.communicate()
    daily.sh("touch /run/release")
    assert "stop apt-daily.timer apt-daily.service" in daily.calls()
    assert daily.agent("packages", document={"manager": "apt", "names": ["okd-test-daemon"]}).returncode == 0
    assert daily.calls()[-1] == "start apt-daily.timer"


def test_an_unknown_manager_is_refused(host: Host) -> None:
    done = host.agent("packages", document={"manager": "pip", "names": ["x"]})
    assert done.returncode == 1
    assert "unknown package manager 'pip'" in done.stderr
