"""Official builds are used when they can be reached and are what was published; else nothing is left behind."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cluster import limits
from lab.toolchain import download
from tests.patience import PATIENCE_SECONDS


class _Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(directory))  # type: ignore[arg-type]

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Site]:
    monkeypatch.setattr(limits, "OFFICIAL", limits.OFFICIAL._replace(seconds=PATIENCE_SECONDS))
    directory = tmp_path / "site"
    directory.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("tools/pulumi", "tools/../../../escaped"):
            member = tarfile.TarInfo(name)
            member.size, member.mode = 4, 0o4755
            archive.addfile(member, io.BytesIO(b"tool"))
    (directory / "tools.tar.gz").write_bytes(packed.getvalue())
    site = _Site(directory)
    yield site
    site.server.shutdown()
    site.server.server_close()


def _publish(site: _Site, digest: str) -> None:
    (site.directory / "SUMS").write_text(f"{'0' * 64}  other.tar.gz\n{digest}  tools.tar.gz\n")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_archive_with_the_published_checksum_is_unpacked(site: _Site, tmp_path: Path, algorithm: str) -> None:
    _publish(site, hashlib.new(algorithm, (site.directory / "tools.tar.gz").read_bytes()).hexdigest())
    into = tmp_path / "into"
    assert download.fetch_archive(site.url("tools.tar.gz"), site.url("SUMS"), into)
    assert sorted(path.name for path in into.iterdir()) == ["escaped", "pulumi"]
    assert (into / "pulumi").stat().st_mode & 0o7777 == 0o755
    assert not (tmp_path / "escaped").exists()


def test_a_wrong_checksum_is_refused(site: _Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _publish(site, "1" * 64)
    assert not download.fetch_archive(site.url("tools.tar.gz"), site.url("SUMS"), tmp_path / "into")
    assert not (tmp_path / "into").exists()
    assert "not used" in capsys.readouterr().out


def test_a_file_without_a_published_checksum_is_not_fetched(site: _Site, tmp_path: Path) -> None:
    (site.directory / "SUMS").write_text("")
    assert not download.fetch_archive(site.url("tools.tar.gz"), site.url("SUMS"), tmp_path / "into")
    assert not download.fetch_archive(site.url("tools.tar.gz"), site.url("absent"), tmp_path / "into")


def test_a_name_that_does_not_resolve_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def unknown(host: str, port: int) -> list[object]:
        asked.append(host)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    for _ in range(3):
        url = "https://downloads.invalid/tools.tar.gz"
        assert not download.fetch_archive(url, "https://downloads.invalid/SUMS", tmp_path / "into")
    assert asked == ["downloads.invalid"]


def test_a_silent_resolver_does_not_hold_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OFFICIAL", limits.OFFICIAL._replace(seconds=0.2))
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    released, answered = threading.Event(), []

    def silent(*_: object) -> list[object]:
        released.wait(PATIENCE_SECONDS)
        answered.append("an address")
        return answered

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    assert not download.reachable("silent.invalid")
    assert not answered, "the resolver was waited for"
    released.set()


def test_a_silent_host_does_not_hold_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "OFFICIAL", limits.OFFICIAL._replace(seconds=0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz"
        # It never answers: without a limit this would not end.
        assert not download.fetch_archive(url, url, tmp_path / "into")
