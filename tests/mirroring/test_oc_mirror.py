"""The engine oc-mirror: how it is called. It cannot be had here, so a fake takes its place; the proof is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.tiny_release import SPEC, STORE, UPSTREAM, VERSION
from tests.mirroring.world import HERE, MIRROR, RELEASE, World

pytestmark = [pytest.mark.daemons, pytest.mark.release]

IMAGE_SET = {
    "apiVersion": "mirror.openshift.io/v2alpha1",
    "kind": "ImageSetConfiguration",
    "mirror": {"platform": {"channels": [{"name": "4-stable", "type": "okd"}], "graph": False}},
}


def document(world: World, **changes: Any) -> dict[str, Any]:
    return world.document(engine="oc-mirror", imageSet=IMAGE_SET, **changes)


@pytest.fixture
def with_engine(both: World, made: Made) -> World:
    both.sh(f"mkdir -p /usr/local/bin && install -m 755 {HERE}/fake_oc_mirror.py /usr/local/bin/oc-mirror")
    lines = [f"{SPEC} {MIRROR}/okd/scos-release:{VERSION}"]
    lines += [
        f"{UPSTREAM}/okd/scos-content@{image.digest} {MIRROR}/okd/scos-content:{name}"
        for name, image in made.images.items()
    ]
    both.write("/run/oc-mirror-plan", "\n".join(lines))
    return both


def calls(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.read("/run/oc-mirror-calls").splitlines()]


def test_oc_mirror_gets_the_image_set_and_the_release_s_own_key_and_no_secret(with_engine: World, made: Made) -> None:
    result, _ = with_engine.verb("mirror", document(with_engine))
    assert result["copied"] == 6
    (called,) = calls(with_engine)
    assert called["argv"] == [
        "--v2",
        f"--config={RELEASE}/oc-mirror/imageset.yaml",
        "--authfile=/var/lib/okd-libvirt/secrets/release/pull-secret",
        f"--workspace=file://{RELEASE}/oc-mirror",
        f"--cache-dir={RELEASE}/oc-mirror/cache",
        f"docker://{MIRROR}",
    ]
    assert called["imageSet"] == IMAGE_SET
    assert called["environment"]["OCP_SIGNATURE_URL"] == f"{STORE}/"
    assert called["key"] == made.key
    assert called["environment"]["SSL_CERT_FILE"] == f"{RELEASE}/ca-bundle.pem"


def test_a_mirror_that_is_complete_is_only_verified_until_the_image_set_changes(with_engine: World) -> None:
    with_engine.verb("mirror", document(with_engine))
    assert with_engine.verb("mirror", document(with_engine))[0]["copied"] == 0
    assert len(calls(with_engine)) == 1
    changed = document(with_engine)
    changed["imageSet"] = {**IMAGE_SET, "mirror": {"platform": {"graph": True}}}
    with_engine.verb("mirror", changed)
    assert len(calls(with_engine)) == 2


def test_what_oc_mirror_left_out_is_noticed(with_engine: World) -> None:
    with_engine.sh("sed -i '/:cli$/d' /run/oc-mirror-plan")
    said = with_engine.refused("mirror", document(with_engine))
    assert "the mirror is not complete: cli" in said


def test_without_oc_mirror_the_remedy_names_its_place(both: World) -> None:
    said = both.refused("mirror", document(both))
    assert "there is no oc-mirror on the services host" in said
    assert "put oc-mirror at /usr/local/bin/oc-mirror, or set release.engine to oc" in said


def test_the_objects_of_a_catalog_are_reported_once_the_mirror_has_it(with_engine: World, made: Made) -> None:
    catalog = f"{UPSTREAM}/extra/tool@{made.extra.digest}"
    wanted = document(with_engine)
    wanted["imageSet"] = {**IMAGE_SET, "mirror": {"operators": [{"catalog": catalog}]}}
    said = with_engine.refused("mirror", wanted)
    assert f"the operator catalog {catalog} is not in the mirror" in said
    image = f"{MIRROR}/extra/tool:latest"
    with_engine.sh(f"printf '\\n%s %s' {catalog} {image} >> /run/oc-mirror-plan; mkdir /run/oc-mirror-says")
    text = f"kind: CatalogSource\nmetadata:\n  name: cs-tool\nspec:\n  image: {image}\n"
    with_engine.write("/run/oc-mirror-says/cs-tool.yaml", text)
    for _ in range(2):
        result, _printed = with_engine.verb("mirror", wanted)
        assert result["catalogs"] == {"cs-tool.yaml": text}
    assert len(calls(with_engine)) == 2, "once without and once with it, and not for a mirror that is complete"
