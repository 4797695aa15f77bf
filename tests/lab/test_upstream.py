"""The lab's web server: whole files, parts of files, and its life inside the lab."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.upstream.server import Handler
from tests.lab.conftest import Lab
from tests.patience import PATIENCE_SECONDS

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "kernel").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def get(url: str, asked: str | None = None) -> tuple[int, bytes, str]:
    request = urllib.request.Request(url, headers={"Range": asked} if asked else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read(), answer.headers.get("Content-Range", "")
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers.get("Content-Range", "")


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        (None, 200, 0, 256000),
        ("bytes=0-99", 206, 0, 100),
        ("bytes=255990-", 206, 255990, 256000),
        ("bytes=100-999999", 206, 100, 256000),
        ("bytes=7-7", 206, 7, 8),
    ],
)
def test_a_download_can_be_resumed(base: str, asked: str | None, status: int, first: int, end: int) -> None:
    got, content, shown = get(f"{base}/boot/kernel", asked)
    assert (got, content) == (status, CONTENT[first:end])
    assert shown == ("" if asked is None else f"bytes {first}-{end - 1}/256000")


def test_a_range_beyond_the_file_is_refused_with_its_size(base: str) -> None:
    assert get(f"{base}/boot/kernel", "bytes=256000-") == (416, b"", "bytes */256000")


def test_a_missing_file_is_not_found_even_in_parts(base: str) -> None:
    assert get(f"{base}/boot/none", "bytes=0-1")[0] == 404


@pytest.mark.lab
def test_upstream_lives_in_the_lab_and_ends_with_it(labs: tuple[Lab, Lab]) -> None:
    lab = labs[1]
    lab.ok("lab.hypervisor", "up")
    lab.ok("lab.upstream", "down")  # other tests may have left one
    started = lab.ok("lab.upstream", "up")
    assert "upstream started: http://198.51.100.1:8081" in started
    assert "198.51.100.1:5000/okd/scos-release:4.19.0-okd-scos.0" in started
    processes = lab.processes()
    again = lab.ok("lab.upstream", "up")
    assert "upstream runs already" in again
    assert "upstream registry runs already" in again
    assert lab.processes() == processes
    assert "upstream ended" in lab.ok("lab.upstream", "down")
    assert "no upstream ran" in lab.ok("lab.upstream", "down")
    assert "upstream started" in lab.ok("lab.upstream", "up")
    ended = lab.ok("lab.hypervisor", "down")
    assert "ended lab.upstream.server" in ended
    assert "ended docker-registry" in ended


@pytest.mark.lab
def test_upstream_serves_the_release_and_everything_it_names(labs: tuple[Lab, Lab]) -> None:
    lab = labs[1]
    lab.ok("lab.hypervisor", "up")
    lab.ok("lab.upstream", "up")
    web, ca = "http://198.51.100.1:8081", str(lab.root / ".lab" / "upstream" / "ca.crt")
    for folder in ("boot", "tools"):
        sums = lab.inside("curl", "-fsS", f"{web}/{folder}/SHA256SUMS")
        assert sums
        for line in sums.splitlines():
            digest, name = line.split()
            got = lab.inside("sh", "-c", f"curl -fsS {web}/{folder}/{name} | sha256sum")
            assert got.split()[0] == digest, name
    release = "https://198.51.100.1:5000/v2/okd/scos-release/manifests/4.19.0-okd-scos.0"
    # Without this the registry answers with another digest: that of a translation to docker's schema 1.
    accept = "Accept: application/vnd.docker.distribution.manifest.v2+json"
    manifest = lab.inside("curl", "-fsSI", "--cacert", ca, "-H", accept, release)
    digest = next(line.split()[1] for line in manifest.splitlines() if line.lower().startswith("docker-content-digest"))
    signature = f"{web}/signatures/openshift/release/{digest.replace(':', '=')}/signature-1"
    assert "HTTP/1.1 200" in lab.inside("curl", "-fsSI", signature)


@pytest.mark.lab
def test_upstreams_registry_takes_nothing_and_is_trusted_by_its_authority_alone(labs: tuple[Lab, Lab]) -> None:
    lab = labs[1]
    lab.ok("lab.hypervisor", "up")
    lab.ok("lab.upstream", "up")
    base, ca = "https://198.51.100.1:5000/v2", str(lab.root / ".lab" / "upstream" / "ca.crt")
    upload = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", ""]
    assert lab.inside(*upload, "--cacert", ca, f"{base}/okd/scos-release/blobs/uploads/") == "405"
    untrusted = lab.module("lab.hypervisor", "enter", "--", "curl", "-sS", f"{base}/")
    assert untrusted.returncode == 60
    named = ["--resolve", "upstream.lab.example:5000:198.51.100.1", "https://upstream.lab.example:5000/v2/"]
    assert lab.inside("curl", "-fsS", "--cacert", ca, *named).strip() == "{}"


@pytest.mark.lab
def test_a_registry_that_serves_another_release_is_started_anew(labs: tuple[Lab, Lab]) -> None:
    lab = labs[1]
    lab.ok("lab.hypervisor", "up")
    lab.ok("lab.upstream", "up")
    before = lab.processes()["docker-registry"]
    record = lab.root / ".lab" / "upstream" / "registry.json"
    record.write_text(record.read_text().replace("/storage", "/older"))
    assert "serves another release" in lab.ok("lab.upstream", "up")
    assert lab.processes()["docker-registry"] != before
