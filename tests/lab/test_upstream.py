"""The lab's web server: whole files, parts of files, and its life inside the lab."""

from __future__ import annotations

import hashlib
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
        with urllib.request.urlopen(request, timeout=10) as answer:
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
    images = lab.root / ".lab" / "images" / "boot"
    images.mkdir(parents=True)
    (images / "kernel").write_bytes(CONTENT)
    assert "http://198.51.100.1:8081" in lab.ok("lab.upstream", "up")
    assert "runs already" in lab.ok("lab.upstream", "up")
    digest = lab.inside("sh", "-c", "curl -fsS http://198.51.100.1:8081/boot/kernel | sha256sum")
    assert digest.split()[0] == hashlib.sha256(CONTENT).hexdigest()
    assert "upstream ended" in lab.ok("lab.upstream", "down")
    assert "no upstream ran" in lab.ok("lab.upstream", "down")
    assert "upstream started" in lab.ok("lab.upstream", "up")
    assert "ended lab.upstream.server" in lab.ok("lab.hypervisor", "down")
