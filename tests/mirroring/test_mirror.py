"""The mirror: the real oc between two real registries, and what is there afterwards."""

from __future__ import annotations

import json

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.tiny_release import SPEC, UPSTREAM, VERSION
from tests.mirroring.world import BLOBS, MIRROR, PASSWORD, RELEASE, STORAGE, World
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def data(digest: str) -> str:
    name = digest.partition(":")[2]
    return f"{BLOBS}/{name[:2]}/{name}/data"


def test_a_release_is_mirrored_verified_and_recorded(both: World, made: Made) -> None:
    result, said = both.verb("mirror", both.document())
    assert result == {
        "version": VERSION,
        "digest": made.digest,
        "release": f"{MIRROR}/okd/scos-release@{made.digest}",
        "images": 6,
        "bytes": result["bytes"],
        "copied": 6,
        "verified": True,
        "signature": result["signature"],
    }
    assert result["signature"]["kind"] == "ConfigMap"
    assert result["signature"]["metadata"]["namespace"] == "openshift-config-managed"
    assert "images 6 of 6" in said
    assert "MB/s" in said
    for image in made.images.values():
        assert both.run("sha256sum", data(image.digest)).startswith(image.digest.partition(":")[2])
    record = json.loads(both.read(f"{RELEASE}/mirror.json"))
    assert record["digest"] == made.digest
    assert record["image"] == SPEC
    assert {(row["name"], row["digest"], row["source"]) for row in record["images"]} == {
        (name, image.digest, f"{UPSTREAM}/okd/scos-content") for name, image in made.images.items()
    }
    assert both.run("stat", "-c", "%a", f"{RELEASE}/mirror.json", RELEASE).split() == ["644", "700"]


def test_every_blob_is_uploaded_once_also_one_that_two_repositories_share(both: World, made: Made) -> None:
    both.verb("mirror", both.document())
    uploads = both.uploads()
    assert set(uploads.values()) == {1}
    assert {digest.partition(":")[2] for image in made.images.values() for digest in image.blobs} <= set(uploads)


def test_the_signature_of_the_release_is_verified_and_kept(both: World, made: Made) -> None:
    _, said = both.verb("mirror", both.document())
    name = f"signatures/signature-sha256-{made.digest[7:23]}.json"
    assert f"kept in {RELEASE}/{name}" in said
    assert "NOT VERIFIED" not in said
    assert json.loads(both.read(f"{RELEASE}/{name}"))["kind"] == "ConfigMap"
    assert json.loads(both.read(f"{RELEASE}/mirror.json"))["signature"] == {"file": name, "verified": True, "why": ""}
    assert f"kept in {RELEASE}/{name}" in both.verb("mirror", both.document())[1]


@pytest.mark.parametrize("store", ["empty", "wrong", "down"])
def test_a_release_that_its_own_keys_do_not_verify_is_mirrored_and_said_to_be(
    both: World, made: Made, store: str
) -> None:
    both.stop("signatures")
    place = f"/srv/web/openshift/release/{made.digest.replace(':', '=')}"
    both.write(f"{place}/{'signature-1' if store == 'wrong' else 'nothing'}", "no signature\n")
    if store != "down":
        both.signatures("/srv/web")
    _, said = both.verb("mirror", both.document())
    assert "the release has none; THE RELEASE IS NOT VERIFIED: An image was retrieved that failed verification" in said
    rows = [{"source": f"{UPSTREAM}/extra/tool@{made.extra.digest}", "repository": "extra/tool"}]
    assert "THE RELEASE IS NOT VERIFIED" in both.verb("mirror", both.document(images=rows))[1]


def test_a_verifying_run_starts_no_oc_and_needs_no_upstream(both: World) -> None:
    both.verb("mirror", both.document())
    starts, before = both.starts(), both.uploads()
    both.stop("upstream")
    result, said = both.verb("mirror", both.document())
    assert result["copied"] == 0
    assert "6 images asked for by digest" in said
    assert both.starts() == starts == 1
    assert both.uploads() == before


def test_a_verifying_run_asks_the_registry_for_every_digest_and_reads_no_blob_again(both: World, made: Made) -> None:
    both.verb("mirror", both.document())
    both.sh(": > /run/mirror.log")
    both.sh(f"find {STORAGE} -name data -size +100k -exec touch -a -d 2001-01-01 {{}} +")
    both.verb("mirror", both.document())
    log = both.read("/run/mirror.log")
    for digest in [made.digest, *(image.digest for image in made.images.values())]:
        assert f"/manifests/{digest}" in log
    # Reading would have set the time of access of a file that has an older one than its change.
    read = both.sh(f"find {STORAGE} -name data -size +100k -newerat 2002-01-01")
    assert read == ""


def test_a_missing_image_is_mirrored_again(both: World, made: Made) -> None:
    both.verb("mirror", both.document())
    image = made.images["pod"]
    both.sh(
        f"rm -r {STORAGE}/docker/registry/v2/repositories/okd/scos-content/_manifests/revisions/sha256/{image.digest[7:]}"
    )
    result, _ = both.verb("mirror", both.document())
    assert result["copied"] == 1
    assert set(both.uploads().values()) == {1}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["altered", "truncated", "gone"])
def test_a_damaged_blob_in_the_mirror_is_found_and_mirrored_again(
    both: World, made: Made, how: str, restarted: bool
) -> None:
    both.verb("mirror", both.document())
    layer = made.images["cli"].blobs[2]
    path = data(layer)
    command = {
        "altered": f"printf x | dd of={path} bs=1 seek=1000 conv=notrunc status=none",
        "truncated": f"truncate -s 1000 {path}",
        "gone": f"rm {path}",
    }[how]
    both.sh(command)
    if restarted:
        both.stop("mirror")
        both.registry("mirror", "127.0.0.3", STORAGE)
    result, said = both.verb("mirror", both.document())
    assert result["copied"] == 1
    assert layer in said
    assert both.run("sha256sum", path).split()[0] == layer.partition(":")[2]
    uploads = both.uploads()
    assert uploads.pop(layer.partition(":")[2]) == 2
    assert set(uploads.values()) == {1}


def test_a_registry_that_remembers_a_damaged_blob_is_restarted(both: World, made: Made) -> None:
    both.stop("mirror")
    unit = "docker-registry.service"
    both.write(f"/etc/systemd/system/{unit}", "[Service]\nExecStart=docker-registry serve /etc/mirror.yml\n")
    both.run("systemctl", "start", unit)
    both.verb("mirror", both.document())
    layer = made.images["cli"].blobs[2]
    both.sh(f"truncate -s 1000 {data(layer)}")
    both.run("systemctl", "restart", unit)
    both.run(
        "curl",
        "-sfI",
        "--cacert",
        "/etc/mirror/ca.crt",
        "-u",
        f"okd:{PASSWORD}",
        f"https://{MIRROR}/v2/okd/scos-content/blobs/{layer}",
    )
    both.calls()
    _, said = both.verb("mirror", both.document())
    assert f"restarting {unit}" in said
    assert f"restart {unit}" in both.calls()


@pytest.mark.parametrize("name", ["release", "cli", "pod"])
def test_a_damaged_manifest_in_the_mirror_is_found_and_mirrored_again(both: World, made: Made, name: str) -> None:
    both.verb("mirror", both.document())
    digest = made.digest if name == "release" else made.images[name].digest
    both.sh(f"sed -i 's/schemaVersion/schemaVersioN/' {data(digest)}")
    _, said = both.verb("mirror", both.document())
    assert f"manifest {digest} is damaged" in said
    assert both.run("sha256sum", data(digest)).split()[0] == digest.partition(":")[2]


def test_a_base_layer_that_all_images_share_is_repaired_in_all_of_them(both: World, made: Made) -> None:
    both.verb("mirror", both.document())
    base = made.images["cli"].blobs[1]
    both.sh(f"printf x | dd of={data(base)} bs=1 seek=1000 conv=notrunc status=none")
    result, _ = both.verb("mirror", both.document())
    assert result["copied"] == 6
    assert both.run("sha256sum", data(base)).split()[0] == base.partition(":")[2]
    assert both.verb("mirror", both.document())[0]["copied"] == 0


def test_images_beside_the_release_are_mirrored_and_verified(both: World, made: Made) -> None:
    rows = [{"source": f"{UPSTREAM}/extra/tool@{made.extra.digest}", "repository": "extra/tool"}]
    result, _ = both.verb("mirror", both.document(images=rows))
    assert result["images"] == result["copied"] == 7
    signature = json.loads(both.read(f"{RELEASE}/mirror.json"))["signature"]
    both.sh(f"printf x | dd of={data(made.extra.blobs[1])} bs=1 seek=100 conv=notrunc status=none")
    starts = both.starts()
    result, _ = both.verb("mirror", both.document(images=rows))
    assert result["copied"] == 1
    assert both.starts() == starts + 1
    assert json.loads(both.read(f"{RELEASE}/mirror.json"))["signature"] == signature
    assert both.run("sha256sum", data(made.extra.blobs[1])).split()[0] == made.extra.blobs[1].partition(":")[2]


def test_no_secret_is_in_the_arguments_of_oc(both: World) -> None:
    both.verb("mirror", both.document())
    asked = both.read("/run/oc-starts")
    assert "--registry-config=/var/lib/okd-libvirt/secrets/release/pull-secret" in asked
    assert "wOrd" not in asked


def test_a_second_run_waits_for_the_first_and_copies_nothing(both: World) -> None:
    both.faults("slow", "4000000")
    first = both.start_agent("mirror", both.document())
    both.eventually("test -s /run/oc-starts")
    second = both.agent("mirror", document=both.document())
    output, errors = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 0, output + errors
    assert second.returncode == 0
    assert "waiting for mirror (pid" in second.stdout
    assert '"copied": 0' in second.stdout
    assert both.starts() == 1
