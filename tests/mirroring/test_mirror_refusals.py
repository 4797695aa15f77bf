"""The mirror: what the settings ask for and what the upstream has must agree, before anything is copied."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mirroring.conftest import Made
from tests.mirroring.tiny_release import SPEC, UPSTREAM, VERSION
from tests.mirroring.world import MIRROR, PULL_SECRET, RELEASE, STORAGE, World, credentials

pytestmark = [pytest.mark.daemons, pytest.mark.release]

OTHER = f"sha256:{'1' * 64}"


def release(**changes: Any) -> dict[str, Any]:
    return {"image": SPEC, "digest": None, "version": None, "architecture": "x86_64", **changes}


def nothing_copied(world: World) -> bool:
    return world.starts() == 0 and world.sh(f"find {STORAGE} -name data") == ""


def test_a_pinned_digest_that_the_tag_has_is_accepted(both: World, made: Made) -> None:
    result, _ = both.verb("mirror", both.document(release=release(digest=made.digest, version=VERSION)))
    assert result["digest"] == made.digest


def test_a_pull_spec_by_digest_is_mirrored(both: World, made: Made) -> None:
    image = f"{UPSTREAM}/okd/scos-release@{made.digest}"
    assert both.verb("mirror", both.document(release=release(image=image)))[0]["digest"] == made.digest


def test_a_tag_that_moved_away_from_the_pinned_digest_is_refused(both: World, made: Made) -> None:
    said = both.refused("mirror", both.document(release=release(digest=OTHER)))
    assert "stage 3/9 release failed" in said
    assert f"pinned {OTHER}" in said
    assert f"found  {made.digest}" in said
    assert "set release.digest in the settings" in said
    assert nothing_copied(both)


@pytest.mark.parametrize(
    ("changes", "why", "remedy"),
    [
        ({"version": "4.18.0"}, f"the release is {VERSION}, not 4.18.0", "name the same release"),
        ({"architecture": "aarch64"}, "the release is not for aarch64", "set release.architecture"),
        ({"image": f"{SPEC}1"}, "does not have it", "compare release.image"),
        ({"image": f"{UPSTREAM}/okd/absent:1"}, "does not have it", "compare release.image"),
    ],
)
def test_another_release_than_the_settings_mean_is_refused(
    both: World, changes: dict[str, str], why: str, remedy: str
) -> None:
    said = both.refused("mirror", both.document(release=release(**changes)))
    assert why in said
    assert remedy in said
    assert nothing_copied(both)


def test_an_image_from_a_repository_without_a_mirror_is_refused(both: World) -> None:
    said = both.refused("mirror", both.document(sources=[f"{UPSTREAM}/okd/scos-release"]))
    assert f"takes images from {UPSTREAM}/okd/scos-content, which is not among the sources" in said
    assert "add it to release.sources" in said
    assert nothing_copied(both)


def test_a_repository_that_holds_no_release_is_refused(both: World, made: Made) -> None:
    image = f"{UPSTREAM}/extra/tool@{made.extra.digest}"
    said = both.refused("mirror", both.document(release=release(image=image)))
    assert "holds no release" in said
    assert "set release.image" in said


def test_an_upstream_with_an_unknown_ca_is_refused(both: World) -> None:
    said = both.refused("mirror", both.document(trust=[]))
    assert "has signed the certificate of upstream.example:5000" in said
    assert "add the CA of upstream.example:5000" in said
    assert "release.trustedCertificates" in said


def test_a_certificate_without_the_name_is_refused(bare: World) -> None:
    bare.mirror().upstream(certificate="mirror")
    said = bare.refused("mirror", bare.document(trust=[bare.read("/run/tls/ca.crt")]))
    assert "the certificate of upstream.example:5000 is not made out for that name" in said
    assert "(SAN)" in said


def test_a_certificate_that_is_not_valid_yet_points_at_the_clock(bare: World) -> None:
    bare.mirror().upstream(certificate="future")
    said = bare.refused("mirror", bare.document())
    assert "this host's clock is wrong" in said
    assert "compare `date` on the services host" in said


def test_a_name_that_cannot_be_resolved_is_named(both: World) -> None:
    spec = release(image=f"absent.invalid:5000/okd/scos-release:{VERSION}")
    said = both.refused(
        "mirror", both.document(release=spec, sources=["absent.invalid:5000/okd/scos-release"], attempts=2)
    )
    assert "the name of absent.invalid:5000 cannot be resolved" in said
    assert "check the resolvers" in said


def test_an_upstream_that_is_not_there_is_named(bare: World) -> None:
    bare.mirror()
    said = bare.refused("mirror", bare.document(attempts=2))
    assert "the connection to upstream.example:5000 does not last" in said
    assert "Connection refused" in said
    assert "check the way to upstream.example:5000" in said


@pytest.mark.parametrize("wrong", [UPSTREAM, MIRROR])
def test_a_wrong_password_names_the_registry_and_the_setting(both: World, wrong: str) -> None:
    import json

    document = json.loads(PULL_SECRET)
    document["auths"][wrong] = credentials("okd", "some-wrong-word")
    secret = both.secret(json.dumps(document))
    said = both.refused("mirror", both.document(pullSecret=secret))
    assert f"{wrong} does not accept the credentials" in said
    assert f"correct the entry for {wrong} in release.pullSecret" in said
    assert "wrong-word" not in said
    assert nothing_copied(both)


def test_an_upstream_without_credentials_says_so(both: World) -> None:
    import json

    document = json.loads(PULL_SECRET)
    del document["auths"][UPSTREAM]
    said = both.refused("mirror", both.document(pullSecret=both.secret(json.dumps(document))))
    assert f"{UPSTREAM} does not accept the credentials" in said


def test_a_pull_secret_that_is_not_json_is_refused_without_being_quoted(both: World) -> None:
    secret = both.secret('{"auths": {"somewhere": "not-what-it-should-be"}}')
    said = both.refused("mirror", both.document(pullSecret=secret))
    assert "the pull secret is not valid" in said
    assert "not-what-it" not in said


def test_a_pull_secret_of_another_run_is_refused(both: World) -> None:
    both.secret('{"auths": {}}')
    said = both.refused("mirror", both.document())
    assert "is not the one that is meant" in said
    assert "okd-host secrets release" in said


def test_a_missing_archive_or_secret_is_named_with_its_origin(both: World) -> None:
    said = both.refused("mirror", both.document(archive="/var/lib/absent.tar.gz"))
    assert "/var/lib/absent.tar.gz" in said
    assert "release.client" in said
    both.sh("rm /var/lib/okd-libvirt/secrets/release/pull-secret")
    assert "the secret pull-secret is not on this host" in both.refused("mirror", both.document())


def test_a_mirror_registry_that_is_down_is_named(bare: World) -> None:
    bare.upstream()
    said = bare.refused("mirror", bare.document())
    assert "the mirror registry cannot be used" in said
    assert "services.okd.lab.example:5000 does not last" in said


def test_a_release_that_does_not_fit_is_refused_with_both_numbers(bare: World) -> None:
    bare.upstream()
    bare.sh("mkdir /srv/small && mount -t tmpfs -o size=5m small /srv/small")
    bare.registry("mirror", "127.0.0.3", "/srv/small")
    said = bare.refused("mirror", bare.document(storage="/srv/small"))
    assert "the release does not fit: 12.0 MB are missing, 5.2 MB are free" in said
    assert "enlarge the registry's data volume" in said
    assert bare.starts() == 0
    assert bare.sh("find /srv/small -name data") == ""


def test_a_full_disk_under_the_agent_itself_is_named(both: World) -> None:
    both.sh(f"rm -r {RELEASE} && mkdir {RELEASE} && mount -t tmpfs -o size=1m small {RELEASE}")
    said = both.refused("mirror", both.document(archive=f"{both.made}/oc.tar.gz") | {"trust": ["x" * 2_000_000]})
    assert "No space left on device" in said
    assert "the registry's disk is full" in said
