"""Logins in URLs are refused without being shown; what downloads are told about trust and passwords."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from tests.cluster.certificates import CERTIFICATE
from tests.cluster.conftest import planned
from tests.cluster.mistakes import put
from tests.conftest import stack_config

HASHES = {"pull-secret": "b" * 64}
RELEASE = {"version": "4.22.0-okd-scos.7", "digest": f"sha256:{'a' * 64}"}
PULL_SECRET = '{"auths": {"nexus.example.com": {"auth": "c3ZjOnBAc3M="}}}'
WORD = "p%40ss"
FILE = "nexus.example.com/repository/file"
LOGINS = {
    "user and password": f"https://svc:{WORD}@{FILE}",
    "over plain HTTP": f"http://svc:{WORD}@{FILE}",
    "with a port": f"https://svc:{WORD}@nexus.example.com:8443/repository/file",
    "a token alone": f"https://{WORD}@{FILE}",
    "a password alone": f"https://:{WORD}@{FILE}",
    "a password with a slash": f"https://svc:x/{WORD}@{FILE}",
    "a password with a hash": f"https://svc:x#{WORD}@{FILE}",
    "a password with an at": f"https://svc:x@{WORD}@{FILE}",
}
PLACES = (
    "bootImage.kernel.location",
    "bootImage.initramfs.location",
    "bootImage.rootfs.location",
    "release.client.location",
    "services.image.location",
)


def report(config: dict[str, Any]) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config, "prod")
    return caught.value


@pytest.mark.parametrize("url", LOGINS.values(), ids=LOGINS)
def test_a_login_in_a_url_is_refused_everywhere_at_once_and_shown_nowhere(url: str) -> None:
    config = copy.deepcopy(stack_config("prod"))
    for place in PLACES:
        put(place, url)(config)
    found = report(config)
    assert [problem.setting for problem in found.problems] == sorted(PLACES)
    for problem in found.problems:
        assert "a user or password in it" in problem.harm
        assert ("path" if "services" in problem.setting else "release.pullSecret") in problem.fix
    assert WORD not in str(found)
    assert "svc" not in str(found)


def test_a_path_or_a_query_with_an_at_in_it_is_no_login() -> None:
    def edit(config: dict[str, Any]) -> None:
        put("release.client.location", "https://nexus.example.com:8443/@okd/oc.tar.gz?as=a@b")(config)
        put("services.image.location", "https://nexus.example.com/@os/debian-12.qcow2")(config)

    assert "@okd" in planned("prod", edit).client_fetch({})["files"][0]["url"]


@pytest.mark.parametrize("value", [f"user:{WORD}@quay.io/okd/scos-release:4.22.0-okd-scos.7", f"user:{WORD}@quay.io/x"])
def test_a_login_before_a_registry_is_not_shown_either(value: str) -> None:
    config = copy.deepcopy(stack_config("prod"))
    put("release.image", value)(config)
    found = report(config)
    assert WORD not in str(found)
    assert "release.image = (not shown)" in str(found)


def with_release(**given: Any) -> Plan:
    def edit(config: dict[str, Any]) -> None:
        config["release"] = given

    return planned("hard-way", edit)


def test_every_download_is_told_the_trust_and_the_logins_of_the_settings(tmp_path: Any) -> None:
    place = tmp_path / "ca.pem"
    place.write_text(CERTIFICATE)
    plan = with_release(trustedCertificates=[str(place)], pullSecret=PULL_SECRET)
    for document in (plan.client_fetch(HASHES), plan.boot_image(RELEASE, HASHES)):
        assert document["trust"] == [CERTIFICATE]
        assert document["pullSecret"] == {"secret": "pull-secret", "sha256": "b" * 64}
        assert "c3ZjOnBAc3M=" not in str(document)


def test_a_stack_that_gives_neither_downloads_as_before() -> None:
    plan = with_release()
    assert set(plan.client_fetch(HASHES)) == {"root", "files"}
    assert not {"trust", "pullSecret"} & set(plan.boot_image(RELEASE, HASHES))
