"""Removable media: saved by an ordinary user on a connected host, loaded where there is no upstream."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.tiny_release import SPEC, UPSTREAM, VERSION
from tests.mirroring.world import BLOBS, MIRROR, PULL_SECRET, STORAGE, World
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]

USER = 65534
PART = 5_000_000


def asked(world: World, made: Made, directory: str, **changes: Any) -> dict[str, Any]:
    return {
        "release": {"image": SPEC, "digest": None, "version": VERSION, "architecture": "x86_64"},
        "sources": [f"{UPSTREAM}/okd/scos-release", f"{UPSTREAM}/okd/scos-content"],
        "images": [f"{UPSTREAM}/extra/tool@{made.extra.digest}"],
        "directory": directory,
        "partBytes": PART,
        "oc": "/run/user/oc",
        "trust": [world.read("/run/tls/upstream-ca.crt")],
        "pullSecretFile": "/run/user/auth.json",
        "attempts": 2,
        **changes,
    }


def save(world: World, document: dict[str, Any], code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `media-save` as a user who owns nothing but the directory of the media."""
    argv = world.agent_argv("media-save", before=("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"))
    done = subprocess.run(argv, input=json.dumps(document), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "wOrd" not in done.stdout + done.stderr
    return done


def user_directory(world: World, path: str) -> str:
    world.sh(f"install -d -o {USER} -g {USER} {path} /run/user")
    world.write("/run/user/auth.json", PULL_SECRET, "600")
    # Where the session keeps it, only root may look.
    world.sh(
        f"chown {USER} /run/user/auth.json && cp $(sed -n 's/^exec \\([^ ]*\\).*/\\1/p' {world.made}/oc) /run/user/oc"
    )
    return path


@pytest.fixture(scope="module")
def saved(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Media with the tiny release and one image beside it."""
    target = tmp_path_factory.mktemp("media")
    world = World(made.path)
    try:
        world.upstream()
        save(world, asked(world, made, user_directory(world, "/srv/media")))
        world.sh(f"cp -r /srv/media/. {target}/")
    finally:
        world.close()
    return target


@pytest.fixture
def loading(bare: World, saved: Path, tmp_path: Path) -> tuple[World, Path]:
    """A disconnected services host with a copy of the media of its own."""
    copy = tmp_path / "media"
    shutil.copytree(saved, copy)
    return bare.mirror(), copy


def wanted(world: World, made: Made, media: Path) -> dict[str, Any]:
    images = [{"source": f"{UPSTREAM}/extra/tool@{made.extra.digest}", "repository": "extra/tool"}]
    return world.document(media={"directory": str(media)}, images=images)


def nothing_pushed(world: World) -> bool:
    return world.sh(f"find {STORAGE} -name data") == "" and world.uploads() == {}


def test_an_ordinary_user_saves_a_release_in_parts_with_checksums(saved: Path, made: Made) -> None:
    names = sorted(path.name for path in saved.iterdir())
    assert names == ["SHA256SUMS", "index.json", "okd-release.tar.000", "okd-release.tar.001", "okd-release.tar.002"]
    assert [(saved / name).stat().st_size for name in names[2:4]] == [PART, PART]
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=saved, check=True)
    index = json.loads((saved / "index.json").read_text())
    assert (index["digest"], index["version"]) == (made.digest, VERSION)


def test_the_media_are_loaded_without_upstream_and_without_oc(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    result, said = world.verb("mirror", wanted(world, made, media))
    assert result["release"] == f"{MIRROR}/okd/scos-release@{made.digest}"
    assert result["images"] == result["copied"] == 7
    assert "verifying okd-release.tar.002 (3 of 3" in said
    assert world.starts() == 0
    assert set(world.uploads().values()) == {1}
    for image in [*made.images.values(), made.extra]:
        for digest in [image.digest, *image.blobs]:
            assert world.run("sha256sum", f"{BLOBS}/{digest[7:9]}/{digest[7:]}/data").split()[0] == digest[7:]
    tags = f"{STORAGE}/docker/registry/v2/repositories/okd/scos-content/_manifests/tags"
    assert f"{VERSION}-x86_64-cli" in world.run("ls", tags)


def test_a_complete_mirror_does_not_need_the_media_any_more(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    world.verb("mirror", wanted(world, made, media))
    shutil.rmtree(media)
    assert world.verb("mirror", wanted(world, made, media))[0]["copied"] == 0


def test_a_blob_that_was_damaged_later_comes_from_the_media_again(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    world.verb("mirror", wanted(world, made, media))
    layer = made.images["cli"].blobs[1][7:]
    world.sh(f"truncate -s 100 {BLOBS}/{layer[:2]}/{layer}/data")
    world.verb("mirror", wanted(world, made, media))
    assert world.run("sha256sum", f"{BLOBS}/{layer[:2]}/{layer}/data").split()[0] == layer


def test_a_load_that_was_killed_goes_on_and_uploads_nothing_twice(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    agent = world.start_agent("mirror", wanted(world, made, media))
    world.eventually(f"test $(find {BLOBS} -name data | wc -l) -ge 3 && {world.frozen('mirror')}")
    world.kill_agent()
    agent.communicate(timeout=PATIENCE_SECONDS)
    assert agent.returncode != 0
    world.thaw("mirror")
    world.verb("mirror", wanted(world, made, media))
    assert set(world.uploads().values()) == {1}


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (
            lambda media: os.truncate(media / "okd-release.tar.001", 4_999_999),
            "001 is 4999999 bytes long instead of 5000000",
        ),
        (lambda media: flip(media / "okd-release.tar.001"), "okd-release.tar.001 was altered"),
        (lambda media: (media / "okd-release.tar.002").unlink(), "okd-release.tar.002 is missing"),
        (lambda media: flip(media / "index.json"), "index.json is not as SHA256SUMS says"),
        (lambda media: (media / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
    ],
)
def test_media_that_are_not_whole_are_refused_before_anything_is_pushed(
    loading: tuple[World, Path], made: Made, harm: Any, why: str
) -> None:
    world, media = loading
    harm(media)
    said = world.refused("mirror", wanted(world, made, media))
    assert "the media are not whole: " in said
    assert why in said
    assert "copy the file from the connected host again" in said
    assert nothing_pushed(world)


def flip(path: Path) -> None:
    """Alter one byte, keeping the size."""
    with path.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))


def test_a_part_altered_after_a_load_that_was_killed_is_found(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    agent = world.start_agent("mirror", wanted(world, made, media))
    world.eventually(f"test $(find {BLOBS} -name data | wc -l) -ge 1")
    world.kill_agent()
    agent.communicate(timeout=PATIENCE_SECONDS)
    flip(media / "okd-release.tar.000")
    assert "okd-release.tar.000 was altered" in world.refused("mirror", wanted(world, made, media))


def test_media_with_another_release_are_refused(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    document = wanted(world, made, media)
    document["release"]["image"] = f"{UPSTREAM}/okd/scos-release:4.20.0"
    said = world.refused("mirror", document)
    assert f"the media hold {SPEC}, not {UPSTREAM}/okd/scos-release:4.20.0" in said
    document = wanted(world, made, media)
    document["release"]["digest"] = f"sha256:{'3' * 64}"
    assert "is another release than the pinned one" in world.refused("mirror", document)
    assert nothing_pushed(world)


def test_an_image_that_is_not_on_the_media_is_named(loading: tuple[World, Path], made: Made) -> None:
    world, media = loading
    absent = f"sha256:{'4' * 64}"
    rows = [{"source": f"{UPSTREAM}/extra/tool@{absent}", "repository": "extra/tool"}]
    said = world.refused("mirror", world.document(media={"directory": str(media)}, images=rows))
    assert f"{media} has no manifests/{absent}" in said


def test_saving_goes_on_after_it_was_killed(bare: World, made: Made) -> None:
    world = bare.upstream()
    document = asked(world, made, user_directory(world, "/srv/media"))
    world.faults("slow", "2000000")
    argv = world.agent_argv("media-save", before=("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"))
    first = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdin
    first.stdin.write(json.dumps(document))
    first.stdin.close()
    blobs = "/srv/media/.work/v2/okd/release/blobs"
    world.eventually(f"test $(find {blobs} -size +1000k | wc -l) -ge 2")
    world.sh("kill -9 $(pgrep -f '[m] okd_host media-save')")
    first.wait()
    kept = world.sh(f"find {blobs} -size +1000k -printf '%f %i\\n' | sort").split()
    world.no_faults()
    world.stop("upstream")
    world.upstream()
    world.sh(": > /run/upstream.log")
    save(world, document)
    assert (
        world.sh("cd /srv/media && sha256sum --check --quiet SHA256SUMS && ls -A").split()[-1] == "okd-release.tar.002"
    )
    fetched = world.read("/run/upstream.log")
    assert not [digest for digest in kept if digest.startswith("sha256:") and f"blobs/{digest} " in fetched]


def test_saving_without_room_says_how_much_is_needed(bare: World, made: Made) -> None:
    world = bare.upstream()
    user_directory(world, "/srv/media")
    world.sh(f"mount -t tmpfs -o size=15m,uid={USER} small /srv/media")
    done = save(world, asked(world, made, "/srv/media"), code=1)
    assert "the release does not fit: 24.2 MB are needed" in done.stderr
    assert 'give another "directory" or "work"' in done.stderr


def test_saving_without_oc_says_what_is_missing(bare: World, made: Made) -> None:
    world = bare.upstream()
    done = save(world, asked(world, made, user_directory(world, "/srv/media"), oc="/absent/oc"), code=1)
    assert "there is no oc on this host" in done.stderr
