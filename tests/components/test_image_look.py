"""The look at the services host's image: a file, or what a web server has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cluster.before import Before
from cluster.plan import Plan
from cluster.preflight.facts import Image
from cluster.settings import Settings
from components import host_look, image_look
from tests.conftest import stack_config

GIB = 1024**3
QCOW2 = b"QFI\xfb\0\0\0\3" + bytes(16) + (3 * GIB).to_bytes(8, "big") + bytes(480)
OLD_QCOW2 = QCOW2.replace(b"\0\0\0\3", b"\0\0\0\2", 1)
OVERLAY = QCOW2[:15] + b"\1" + QCOW2[16:]
RAW = bytes(510) + b"\x55\xaa" + bytes(1536)
NEITHER = "it is neither a qcow2 image nor a raw disk with a partition table"
CONTENTS = {
    "qcow2": (QCOW2, Image(form="qcow2", size=3 * GIB)),
    "qcow2 of version 2": (OLD_QCOW2, Image(form="qcow2", size=3 * GIB)),
    "raw": (RAW, Image(form="raw", size=2048)),
    "overlay": (OVERLAY, Image(wrong="it holds only what differs from another image, its backing file")),
    "xz": (b"\xfd7zXZ\0" + bytes(600), Image(wrong="it is compressed, and nothing unpacks it")),
    "gzip": (b"\x1f\x8b\x08" + bytes(600), Image(wrong="it is compressed, and nothing unpacks it")),
    "page": (b"<html>moved</html>", Image(wrong=NEITHER)),
    "empty": (b"", Image(wrong=NEITHER)),
}


@contextmanager
def served(
    content: bytes, *, head: int = 200, get: int = 206, length: bool = True, at: str = "/image"
) -> Iterator[str]:
    """A web server's URL for a file; `head` and `get` are its answers to the two requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(head, b"")

        def do_GET(self) -> None:
            if "Range" not in self.headers:
                self._answer(200, b"")
            elif get == 206:
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                self._answer(206, content[int(first) : int(last) + 1])
            else:
                self._answer(get, content)

        def _answer(self, status: int, body: bytes) -> None:
            if self.path != at:
                self.send_response(302)
                self.send_header("Location", at)
                self.end_headers()
                return
            self.send_response(status)
            if length:
                self.send_header("Content-Length", str(len(body) if body else len(content)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/image"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("content", "found"), CONTENTS.values(), ids=CONTENTS)
def test_a_file_is_what_its_first_bytes_say(tmp_path: Path, content: bytes, found: Image) -> None:
    image = tmp_path / "image.img"
    image.write_bytes(content)
    assert image_look.look(str(image)) == found


def test_a_file_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    assert image_look.look(str(tmp_path / "none")) == Image(wrong="there is no such file on this machine")
    assert "cannot be read" in image_look.look(str(tmp_path)).wrong


@pytest.mark.parametrize(
    ("content", "found"), [one for name, one in CONTENTS.items() if name != "empty"], ids=list(CONTENTS)[:-1]
)
def test_what_a_url_leads_to_is_told_by_the_same_bytes(content: bytes, found: Image) -> None:
    with served(content) as url:
        assert image_look.look(url) == found


def test_a_redirection_is_followed() -> None:
    with served(RAW, at="/elsewhere") as url:
        assert image_look.look(url) == Image(form="raw", size=2048)


@pytest.mark.parametrize(
    ("head", "get", "length", "told"),
    [
        (404, 206, True, "the server answers 404"),
        (405, 206, True, "the server answers 405"),
        (200, 200, True, "it answers 200 to a request with Range"),
        (200, 416, True, "it answers 416 to a request with Range"),
        (200, 206, False, "does not say how long it is"),
    ],
)
def test_a_server_that_the_provider_cannot_use_is_found_out(head: int, get: int, length: bool, told: str) -> None:
    with served(RAW, head=head, get=get, length=length) as url:
        assert told in image_look.look(url).wrong


def test_a_server_that_forbids_the_first_question_alone_is_asked_another_way_as_the_provider_does() -> None:
    with served(RAW, head=403) as url:
        assert image_look.look(url) == Image(form="raw", size=2048)


def test_silence_is_no_answer() -> None:
    with served(RAW) as url:
        pass
    found = image_look.look(url)
    assert "refused" in found.silent
    assert (found.wrong, found.form) == ("", "")


def test_an_image_that_is_in_the_pool_already_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    config = stack_config("dev")
    config["services"]["image"] = {"location": "https://files.example.com/image.raw", "sha256": "a" * 64}
    plan = Plan.of(Settings.parse(config, "dev"))
    asked: list[str] = []
    monkeypatch.setattr(image_look, "look", lambda location: asked.append(location) or Image(form="raw"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert host_look.look(plan).image == Image(form="raw")
    base = {"name": f"okd-dev-services-base-{'a' * 12}", "format": "raw"}
    held = {"urn": "a::b", "type": "libvirt:index/volume:Volume", "outputs": base}
    stands = replace(plan, before=Before.of({}, [held]))
    assert host_look.look(stands).image == Image()
    assert asked == ["https://files.example.com/image.raw"]
