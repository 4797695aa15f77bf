"""What cannot be the source of a mirror is refused in the settings, and what may not be is warned about."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cluster.settings import Problem, Settings, SettingsError
from tests.cluster.mistakes import Config
from tests.conftest import stack_config

TAG, DIGEST = "4.22.0-okd-scos.7", f"sha256:{'c' * 64}"
OWN = (
    "services.okd.example.com:5000",
    "www.services.okd.example.com:5000",
    "192.168.200.254:5000",
    "192.168.126.10:5000",
)
NOBODY = ("localhost:5000", "localhost", "127.0.0.1:5000", "127.1.2.3:8443", "0.0.0.0:5000")


def config(**release: Any) -> Config:
    found = copy.deepcopy(stack_config("hard-way"))
    found["release"], found["install"] = release, {}
    return found


def problems(**release: Any) -> dict[str, Problem]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config(**release), "hard-way")
    return {problem.setting: problem for problem in caught.value.problems}


def warned(**release: Any) -> list[Problem]:
    return list(Settings.parse(config(**release), "hard-way").warnings)


@pytest.mark.parametrize("registry", OWN)
def test_the_stacks_own_registry_is_no_source(registry: str) -> None:
    found = problems(image=f"{registry}/okd/scos-release:{TAG}")
    assert set(found) == {"release.image"}
    assert "the stack's own mirror registry" in found["release.image"].harm


@pytest.mark.parametrize("registry", NOBODY)
def test_the_services_host_itself_is_no_source(registry: str) -> None:
    found = problems(image=f"{registry}/okd/scos-release:{TAG}")
    assert set(found) == {"release.image"}
    assert "the services host itself" in found["release.image"].harm


def test_every_reference_is_looked_at() -> None:
    found = problems(
        sources=["quay.io/okd/scos-release", f"{OWN[0]}/okd/scos-content"],
        engine="oc-mirror",
        additionalImages=[f"localhost:5000/x/y@{DIGEST}"],
        operatorCatalogs=[{"catalog": f"{OWN[2]}/x/catalog:1"}],
    )
    assert set(found) == {
        "release.sources[1]",
        "release.additionalImages[0]",
        "release.operatorCatalogs[0].catalog",
    }


def test_another_registry_of_the_services_hosts_name_or_on_another_port_may_be_one() -> None:
    assert not warned(image=f"registry.okd.example.com:5000/okd/scos-release:{TAG}")
    assert not warned(image=f"services.okd.example.com:8443/okd/scos-release:{TAG}")


@pytest.mark.parametrize(
    "release",
    [
        {
            "image": f"mirror.example.com:5000/openshift/okd4:{TAG}",
            "sources": ["mirror.example.com:5000/openshift/okd4"],
        },
        {
            "image": f"mirror.example.com/okd@{DIGEST}",
            "version": TAG,
            "sources": ["mirror.example.com/okd", "mirror.example.com/okd-content"],
        },
        {
            "image": "mirror.example.com/okd/release:4.15.0-0.okd-2024-03-10-010116",
            "sources": ["mirror.example.com/okd/release"],
        },
    ],
    ids=["as oc leaves it", "by digest", "on Fedora CoreOS"],
)
def test_what_looks_like_a_mirror_is_said_to_be_no_source_before_anything_is_made(release: dict[str, Any]) -> None:
    (found,) = warned(**release)
    assert found.setting == "release.image"
    assert "still named by its origin at quay.io" in found.harm
    assert "release.media" in found.fix


@pytest.mark.parametrize(
    "release",
    [
        {},
        {"image": f"quay.io/okd/scos-release:{TAG}"},
        {"image": f"198.51.100.1:5000/okd/scos-release:{TAG}"},
        {
            "image": f"mirror.example.com:5000/openshift/okd4:{TAG}",
            "sources": ["mirror.example.com:5000/openshift/okd4", "quay.io/okd/scos-content"],
        },
        {
            "image": f"mirror.example.com:5000/openshift/okd4:{TAG}",
            "sources": ["mirror.example.com:5000/openshift/okd4"],
            "media": "/mnt/usb",
        },
    ],
    ids=["usual", "OKD's own", "rebuilt", "payload from its origin", "from media"],
)
def test_what_can_be_a_source_is_passed_in_silence(release: dict[str, Any]) -> None:
    assert warned(**release) == []


def test_a_refused_image_hides_nothing_else() -> None:
    found = problems(image="nonsense", additionalImages=[f"localhost/x/y@{DIGEST}"])
    assert set(found) == {"release.image", "release.additionalImages[0]"}
