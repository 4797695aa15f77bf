"""Boot files over an unreliable network: a real HTTP server on the loopback that drops, lies and redirects."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.scripts.host import HERE, Host

pytestmark = pytest.mark.daemons

CONTENT = os.urandom(50_000) * 20
SHA = hashlib.sha256(CONTENT).hexdigest()
TARGET = "/srv/www/boot/kernel"
PART = "/srv/www/boot/.kernel.part"


@pytest.fixture
def upstream(host: Host) -> Iterator[Callable[[str], None]]:
    servers = []

    def serve(mode: str) -> None:
        servers.append(subprocess.Popen(host.argv(["/usr/bin/python3", str(HERE / "flaky_server.py"), mode])))
        host.eventually("ss -ltn | grep 127.0.0.1:8099")

    host.sh("mkdir -p /srv/upstream")
    subprocess.run(host.argv(["sh", "-c", "cat > /srv/upstream/image"]), input=CONTENT, check=True)
    yield serve
    for server in servers:
        server.kill()
        server.wait()


def document(url: str = "http://127.0.0.1:8099/image", sha: str = SHA) -> dict[str, Any]:
    return {"root": "/srv/www", "files": [{"url": url, "sha256": sha, "path": "boot/kernel"}]}


def requests(host: Host) -> list[str]:
    return host.read("/run/requests").splitlines()


def digest(host: Host) -> str:
    return host.run("sha256sum", TARGET).split()[0]


def test_a_connection_that_drops_is_resumed_until_the_file_is_whole(
    host: Host, upstream: Callable[[str], None]
) -> None:
    upstream("drop")
    done = host.agent("fetch", document=document())
    assert done.returncode == 0
    assert digest(host) == SHA
    assert requests(host) == ["/image ", "/image bytes=300000-", "/image bytes=600000-", "/image bytes=900000-"]
    assert "connection closed after 300000 of 1000000 bytes" in done.stdout
    assert host.run("stat", "-c", "%a", TARGET) == "644\n"
    assert host.run("ls", "-A", "/srv/www/boot") == "kernel\n"


def test_a_file_that_is_right_is_not_fetched_again(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    assert host.agent("fetch", document=document("http://127.0.0.1:8099/moved")).returncode == 0
    before = requests(host)
    again = host.agent("fetch", document=document())
    assert "already right" in again.stdout
    assert requests(host) == before == ["/moved ", "/image "]


def test_a_file_damaged_on_the_host_is_fetched_again(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    host.agent("fetch", document=document())
    host.sh(f"printf x | dd of={TARGET} conv=notrunc status=none")
    assert host.agent("fetch", document=document()).returncode == 0
    assert digest(host) == SHA


@pytest.mark.parametrize("mode", ["good", "norange"])
def test_a_killed_download_is_resumed_where_it_can_be(host: Host, upstream: Callable[[str], None], mode: str) -> None:
    upstream(mode)
    host.sh(f"mkdir -p /srv/www/boot && head -c 400000 /srv/upstream/image > {PART}")
    assert host.agent("fetch", document=document()).returncode == 0
    assert requests(host) == ["/image bytes=400000-"]
    assert digest(host) == SHA


@pytest.mark.parametrize("size", [400_000, 1_000_000, 2_000_000])
def test_the_rest_of_another_version_is_thrown_away(host: Host, upstream: Callable[[str], None], size: int) -> None:
    upstream("good")
    host.sh(f"mkdir -p /srv/www/boot && head -c {size} /dev/zero > {PART}")
    assert host.agent("fetch", document=document()).returncode == 0
    assert digest(host) == SHA


def test_a_wrong_sum_is_refused_and_the_old_file_stays(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    host.write(TARGET, "the old kernel\n")
    wrong = "0" * 64
    done = host.agent("fetch", document=document(sha=wrong))
    assert done.returncode == 1
    assert "another SHA-256 than declared" in done.stderr
    assert f"declared {wrong}" in done.stderr
    assert f"fetched  {SHA}" in done.stderr
    assert "in service: the file from before" in done.stderr
    assert host.read(TARGET) == "the old kernel\n"
    assert host.run("ls", "-A", "/srv/www/boot") == "kernel\n"
    assert requests(host) == ["/image "]


def test_a_missing_file_is_not_asked_for_again_and_again(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    done = host.agent("fetch", document=document("http://127.0.0.1:8099/missing"))
    assert done.returncode == 1
    assert "HTTP Error 404" in done.stderr
    assert requests(host) == ["/missing "]


def test_a_server_that_comes_late_is_waited_for(host: Host, upstream: Callable[[str], None]) -> None:
    agent = host.start_agent("fetch", document())
    assert agent.stdout
    assert "Connection refused" in agent.stdout.readline()
    upstream("good")
    output, errors = agent.communicate(timeout=PATIENCE_SECONDS)
    assert agent.returncode == 0, output + errors
    assert digest(host) == SHA


def test_without_a_declared_sum_the_list_beside_the_file_counts(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    host.write("/srv/upstream/SHA256SUMS", f"{'1' * 64}  other\n{SHA} *image\n")
    unknown = document()
    unknown["files"][0]["sha256"] = None
    assert host.agent("fetch", document=unknown).returncode == 0
    assert digest(host) == SHA
    host.write("/srv/upstream/SHA256SUMS", f"{'1' * 64}  image\n")
    done = host.agent("fetch", document=unknown)
    assert done.returncode == 1
    assert f"declared {'1' * 64}" in done.stderr
    host.write("/srv/upstream/SHA256SUMS", f"{SHA}  other\n")
    done = host.agent("fetch", document=unknown)
    assert "/SHA256SUMS: no line for image" in done.stderr


def test_the_list_of_sums_may_have_another_name(host: Host, upstream: Callable[[str], None]) -> None:
    upstream("good")
    host.write("/srv/upstream/sha256sum.txt", f"{'1' * 64}  other\n{SHA}  image\n")
    host.write("/srv/upstream/SHA256SUMS", f"{'2' * 64}  image\n")
    named = document()
    named["files"][0].update(sha256=None, sums="sha256sum.txt")
    assert host.agent("fetch", document=named).returncode == 0
    assert digest(host) == SHA
    assert requests(host) == ["/sha256sum.txt ", "/image "]
    named["files"][0]["sums"] = "nowhere.txt"
    done = host.agent("fetch", document=named)
    assert done.returncode == 1
    assert "/nowhere.txt: HTTP Error 404" in done.stderr
    assert "declare sha256 in the settings, or publish nowhere.txt beside the file" in done.stderr


def test_a_path_outside_the_root_is_refused(host: Host) -> None:
    outside = document()
    outside["files"][0]["path"] = "../../etc/passwd"
    done = host.agent("fetch", document=outside)
    assert done.returncode == 1
    assert "is not below /srv/www" in done.stderr
