"""The boot image that the real installer names, over a network that is not good."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.release import tools
from lab.toolchain import golang
from tests.ignition.world import result
from tests.scripts.host import HERE as SERVER
from tests.scripts.host import Host

pytestmark = [pytest.mark.daemons, pytest.mark.release]

PARTS = ("kernel", "initramfs", "rootfs")
CONTENT = {part: hashlib.shake_256(part.encode()).digest(700_000) for part in PARTS}
DIGESTS = {part: hashlib.sha256(content).hexdigest() for part, content in CONTENT.items()}
URL = "http://127.0.0.1:8099"
INSTALLER = "/usr/local/bin/openshift-install"
# The real installer's words, with addresses that this machine has.
EDITED = """#!/usr/bin/python3
import json, subprocess, sys
printed = subprocess.run([{installer!r}, *sys.argv[1:]], capture_output=True, text=True, check=True).stdout
stream = json.loads(printed)
for part, digest in {digests!r}.items():
    row = stream["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["pxe"][part]
    row.update(location="{url}/" + part, sha256=digest)
print("level=warning msg=A line of its log stands before it, with flags {{0 1}}")
print("{{}}")
print(json.dumps(stream))
"""


def document(**changes: Any) -> dict[str, Any]:
    return {
        "installer": INSTALLER,
        "architecture": "x86_64",
        "version": "4.19.0-okd-scos.0",
        "release": f"sha256:{'a1' * 32}",
        "root": "/var/www/okd",
        "files": None,
        **changes,
    }


def names(host: Host, digests: dict[str, str]) -> None:
    """Let the installer's stream name files of our upstream, with these SHA-256 values."""
    text = EDITED.format(installer=str(tools.installer()), digests=digests, url=URL)
    host.write(INSTALLER, text, "755")


def prints(host: Host, stream: str) -> None:
    host.write("/srv/stream.json", stream)
    host.write(INSTALLER, "#!/bin/sh\ntest \"$*\" = 'coreos print-stream-json' && cat /srv/stream.json\n", "755")


@pytest.fixture
def upstream(host: Host) -> Iterator[Callable[[str], None]]:
    """Start a web server with the three files that is as unreliable as its mode says."""
    servers = []

    def serve(mode: str) -> None:
        servers.append(subprocess.Popen(host.argv(["/usr/bin/python3", str(SERVER / "flaky_server.py"), mode])))
        host.eventually("ss -ltn | grep 127.0.0.1:8099")

    host.sh("mkdir -p /srv/upstream")
    for part, content in CONTENT.items():
        subprocess.run(host.argv(["sh", "-c", f"cat > /srv/upstream/{part}"]), input=content, check=True)
    yield serve
    for server in servers:
        server.kill()
        server.wait()


def held(host: Host) -> dict[str, str]:
    lines = host.run("sh", "-c", "cd /var/www/okd/images && sha256sum *").splitlines()
    return {line.split()[1]: line.split()[0] for line in lines}


def test_the_files_that_the_installer_names_are_fetched_verified_and_reported(
    host: Host, upstream: Callable[[str], None]
) -> None:
    upstream("good")
    names(host, DIGESTS)
    found = result(host.agent("boot-image", document=document()))
    assert found == {**DIGESTS, "stream": "c9s"}
    assert held(host) == DIGESTS
    assert host.run("stat", "-c", "%a %U", *(f"/var/www/okd/images/{part}" for part in PARTS)) == "644 root\n" * 3
    before = host.read("/run/requests")
    again = host.agent("boot-image", document=document())
    assert again.stdout.count("already right") == 3
    assert result(again) == found
    assert host.read("/run/requests") == before


def test_downloads_that_break_off_are_resumed(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("drop")
    names(host, DIGESTS)
    host.sh("mkdir -p /var/www/okd/images && head -c 500000 /srv/upstream/rootfs > /var/www/okd/images/.rootfs.part")
    assert host.agent("boot-image", document=document()).returncode == 0
    assert held(host) == DIGESTS
    requests = host.read("/run/requests").splitlines()
    assert requests[:3] == ["/kernel ", "/kernel bytes=300000-", "/kernel bytes=600000-"]
    assert requests[-1] == "/rootfs bytes=500000-"


def test_a_sha256_that_is_not_the_streams_is_refused_and_the_old_file_stays(
    host: Host, upstream: Callable[[str], None]
) -> None:
    upstream("good")
    host.write("/var/www/okd/images/initramfs", "the old one\n")
    names(host, {**DIGESTS, "initramfs": "0" * 64})
    done = host.agent("boot-image", document=document())
    assert done.returncode == 1
    assert "stage 3/4 images/initramfs failed: http://127.0.0.1:8099/initramfs has another SHA-256" in done.stderr
    assert f"declared {'0' * 64}" in done.stderr
    assert f"fetched  {DIGESTS['initramfs']}" in done.stderr
    assert "take address and SHA-256 from the same source" in done.stderr
    assert host.read("/var/www/okd/images/initramfs") == "the old one\n"
    assert not host.sh("ls /var/www/okd/images/rootfs", check=False).startswith("/var")


def fedora() -> str:
    module = Path(tools.__file__).parent / "installer"
    return (golang.sources(module, "github.com/openshift/installer") / "data/data/coreos/fcos.json").read_text()


@pytest.mark.parametrize("version", ["4.17.0-okd-scos.0", "4.19.0-okd-scos.0", "5.0.0-okd-scos.1"])
def test_fedora_coreos_is_refused_for_a_release_of_centos_stream_coreos(host: Host, version: str) -> None:
    prints(host, fedora())
    done = host.agent("boot-image", document=document(version=version))
    assert done.returncode == 1
    assert f"this boot image is Fedora CoreOS, which release {version} cannot be installed from" in done.stderr
    assert "fedora-coreos-39" in done.stderr
    assert "give the boot image of CentOS Stream CoreOS in the setting bootImage" in done.stderr
    assert not host.sh("ls /var/www/okd", check=False).startswith("images")


def test_fedora_coreos_fits_an_older_release(host: Host) -> None:
    prints(host, fedora())
    # It is not to be had here: the first address is tried, not refused.
    host.sh("echo 127.0.0.1 builds.coreos.fedoraproject.org >> /etc/hosts")
    snippet = "from okd_host import fetch; fetch.TRIES = 1"
    agent = host.agent_argv("boot-image")
    argv = [*agent[: agent.index("-m")], str(Path(__file__).parent / "agent_with.py"), snippet, "boot-image"]
    text = json.dumps(document(version="4.15.0-0.okd-2024-03-10"))
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert "stage 1/4 stream: stable, fedora-coreos-39.20231101.3.0-live-kernel-x86_64" in done.stdout
    assert "stage 2/4 images/kernel failed" in done.stderr


def test_files_of_the_settings_take_the_place_of_the_streams(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    host.write(INSTALLER, "#!/bin/sh\nexit 1\n", "755")
    sums = "".join(f"{DIGESTS[part]} *{part}\n" for part in PARTS)
    host.write("/srv/upstream/SHA256SUMS", sums)
    rows = [{"url": f"{URL}/{part}", "sha256": None, "path": f"images/{part}"} for part in PARTS]
    found = result(host.agent("boot-image", document=document(files=rows)))
    assert found == {**DIGESTS, "stream": None}
    assert held(host) == DIGESTS
    rows[0]["url"] = f"{URL}/fedora-coreos-39-live-kernel"
    done = host.agent("boot-image", document=document(files=rows))
    assert "this boot image is Fedora CoreOS" in done.stderr


def test_an_architecture_that_the_stream_lacks_names_those_that_it_has(host: Host, installer: Path) -> None:
    done = host.agent("boot-image", document=document(installer=str(installer), architecture="riscv64"))
    assert done.returncode == 1
    assert "the release's stream 'c9s' has no boot image of riscv64 for network boot" in done.stderr
    assert "architectures with one: aarch64, ppc64le, s390x, x86_64" in done.stderr
    assert "correct the setting release.architecture" in done.stderr


@pytest.mark.parametrize(
    ("script", "why"), [("echo no such asset; exit 3", "exit code 3"), ("echo text", "no stream metadata")]
)
def test_an_installer_that_does_not_tell_is_shown(host: Host, script: str, why: str) -> None:
    host.write(INSTALLER, f"#!/bin/sh\n{script}\n", "755")
    done = host.agent("boot-image", document=document())
    assert done.returncode == 1
    assert "openshift-install does not say which boot image fits the release" in done.stderr
    assert why in done.stderr
    assert "see that it is the release's own installer (okd-host tools)" in done.stderr
