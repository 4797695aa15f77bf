"""The mirror over a network and a disk that fail, and killed while it works."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.world import BLOBS, RELEASE, STORAGE, World
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def complete(world: World, blobs: str = BLOBS) -> None:
    """Everything is in the mirror, and nothing was transferred twice."""
    uploads = world.uploads()
    assert len(uploads) == 13
    assert set(uploads.values()) == {1}
    assert world.sh(f"cd {blobs} && for f in */*; do sha256sum $f/data | grep -q ^${{f#*/}} || echo $f; done") == ""


def test_an_upstream_that_drops_every_third_connection_is_mirrored_all_the_same(both: World) -> None:
    both.faults("drop3")
    both.verb("mirror", both.document())
    complete(both)


def test_a_blob_that_comes_corrupted_is_never_in_the_mirror_and_is_named(both: World, made: Made) -> None:
    layer = made.images["cli"].blobs[2]
    both.faults("corrupt", layer)
    said = both.refused("mirror", both.document(attempts=2))
    assert "upstream.example:5000 serves content that is not what its digest says" in said
    assert "mirror from removable media" in said
    assert both.sh(f"ls {BLOBS}/{layer[7:9]}/{layer[7:]}/data 2>/dev/null", check=False) == ""
    assert both.sh(f"test -e {RELEASE}/mirror.json || echo no") == "no\n"
    both.no_faults()
    both.verb("mirror", both.document())
    complete(both)


def test_a_corrupted_manifest_is_refused_before_anything_is_copied(both: World, made: Made) -> None:
    both.faults("corrupt", f"manifests/{made.images['cli'].digest}")
    said = both.refused("mirror", both.document(attempts=2))
    assert "serves content that is not what its digest says" in said
    assert made.images["cli"].digest in said
    assert both.starts() == 0


def test_an_image_that_the_upstream_lost_is_named(both: World, made: Made) -> None:
    digest = made.images["installer"].digest
    both.faults("status", "404", f"manifests/{digest}", "1000")
    said = both.refused("mirror", both.document())
    assert f"manifests/{digest}: HTTP 404" in said
    assert "upstream.example:5000 does not have it" in said
    assert "compare release.image" in said


def test_a_rate_limit_that_passes_is_waited_for(both: World) -> None:
    both.faults("status", "429", "/blobs/", "3")
    both.verb("mirror", both.document())
    complete(both)


def test_a_rate_limit_that_stays_is_named(both: World) -> None:
    both.faults("status", "429", "/okd/scos-content/blobs/", "1000000")
    said = both.refused("mirror", both.document(attempts=2))
    assert "upstream.example:5000 limits how much it serves" in said
    assert "credentials in release.pullSecret raise the limit" in said


def test_a_password_that_ends_while_copying_is_named(both: World) -> None:
    both.faults("status", "401", "/okd/scos-content/blobs/", "1000000")
    said = both.refused("mirror", both.document(attempts=2))
    assert "upstream.example:5000 does not accept the credentials" in said


SMALL = "/srv/small"


def test_a_disk_that_fills_up_while_copying_is_named_and_the_next_run_goes_on(bare: World) -> None:
    bare.upstream()
    bare.sh(f"mkdir {SMALL} && mount -t tmpfs -o size=24m small {SMALL}")
    bare.registry("mirror", "127.0.0.3", SMALL)
    bare.faults("slow", "3000000")
    agent = bare.start_agent("mirror", bare.document(attempts=2, storage=SMALL))
    bare.eventually("test -s /run/oc-starts")
    # All but some 6 MB.
    bare.sh(f"head -c $(( $(stat -f -c '%a*%S' {SMALL}) - 6000000 )) /dev/zero > {SMALL}/other")
    output, errors = agent.communicate(timeout=PATIENCE_SECONDS)
    assert agent.returncode == 1, output + errors
    assert "the registry's disk is full" in errors
    assert "enlarge the registry's data volume" in errors
    assert "no space left on device" in bare.read("/run/mirror.log")
    assert bare.sh(f"test -e {RELEASE}/mirror.json || echo no") == "no\n"
    bare.sh(f"rm {SMALL}/other")
    bare.no_faults()
    bare.verb("mirror", bare.document(storage=SMALL))
    complete(bare, f"{SMALL}/docker/registry/v2/blobs/sha256")


def first_blobs(world: World) -> None:
    world.eventually("grep -q 'blobs/sha256' /run/asked && test -s /run/oc-starts")


def in_a_blob(world: World) -> None:
    world.eventually(f"find {STORAGE} -path '*_uploads*' -name data -size +100k | grep -q .")


def after_some_blobs(world: World) -> None:
    world.eventually(f"test $(find {BLOBS} -name data -size +1000k | wc -l) -ge 2")


def before_the_record(world: World) -> None:
    world.eventually(f"test -e {STORAGE}/docker/registry/v2/repositories/okd/scos-release/_manifests/tags")


@pytest.mark.parametrize("point", [first_blobs, in_a_blob, after_some_blobs, before_the_record])
def test_killed_and_run_again_it_completes_and_uploads_nothing_twice(
    both: World, point: Callable[[World], None]
) -> None:
    both.faults("slow", "2000000")
    agent = both.start_agent("mirror", both.document())
    point(both)
    both.kill_agent()
    agent.communicate(timeout=PATIENCE_SECONDS)
    assert agent.returncode != 0
    # oc goes with the run that started it.
    both.eventually("! pgrep -f '[a]dm release mirror'")
    both.no_faults()
    both.verb("mirror", both.document())
    complete(both)


def test_killed_again_and_again_it_completes_in_the_end(both: World) -> None:
    both.faults("slow", "3000000")
    for _ in range(6):
        agent = both.start_agent("mirror", both.document())
        time.sleep(1.5)
        if agent.poll() is None:
            both.kill_agent()
        agent.communicate(timeout=PATIENCE_SECONDS)
    both.verb("mirror", both.document())
    complete(both)


def test_oc_killed_alone_is_started_again(both: World) -> None:
    both.faults("slow", "2000000")
    agent = both.start_agent("mirror", both.document())
    in_a_blob(both)
    for pid in both.sh("pgrep -f '[a]dm release mirror'").split():
        both.run("kill", "-9", pid, check=False)
    both.no_faults()
    output, errors = agent.communicate(timeout=PATIENCE_SECONDS)
    assert agent.returncode == 0, output + errors
    assert "(try 2 of 5)" in output
    complete(both)
