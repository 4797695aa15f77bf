"""Packages from a real apt and a repository of the test's own; nothing of the machine changes."""

from __future__ import annotations

import pytest

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


def test_an_unknown_manager_is_refused(host: Host) -> None:
    done = host.agent("packages", document={"manager": "pip", "names": ["x"]})
    assert done.returncode == 1
    assert "unknown package manager 'pip'" in done.stderr
