"""What cannot be the source of a mirror is refused in the settings; a mirror of OKD's release can be one."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cluster import mirror
from cluster.plan import Plan
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


@pytest.mark.parametrize("registry", ["compute-0.okd.example.com:5000", "services.okd.example.com:8443"])
def test_another_registry_of_that_domain_or_on_another_port_may_be_one(registry: str) -> None:
    assert Settings.parse(config(image=f"{registry}/okd/scos-release:{TAG}"), "hard-way").release.image


@pytest.mark.parametrize(
    ("image", "sources", "content"),
    [
        (
            f"mirror.example.com:5000/openshift/okd4:{TAG}",
            ["mirror.example.com:5000/openshift/okd4"],
            "openshift/okd4",
        ),
        (
            f"mirror.example.com/openshift/release-images:{TAG}",
            ["mirror.example.com/openshift/release-images", "mirror.example.com/openshift/release"],
            "openshift/release",
        ),
        (
            "mirror.example.com/okd/release:4.15.0-0.okd-2024-03-10-010116",
            ["mirror.example.com/okd/release"],
            "okd/release",
        ),
    ],
    ids=["as oc leaves it", "as oc-mirror leaves it", "on Fedora CoreOS"],
)
def test_nodes_find_a_mirrored_release_by_the_names_that_it_kept(image: str, sources: list[str], content: str) -> None:
    plan = Plan.of(Settings.parse(config(image=image, sources=sources), "hard-way"))
    found = mirror.mirrors(plan)
    okd = ("quay.io/okd/scos-release", "quay.io/okd/scos-content")
    okd = ("quay.io/openshift/okd", "quay.io/openshift/okd-content") if "4.15" in image else okd
    assert set(found) == {*sources, plan.settings.release.reference.repository, *okd}
    registry = "services.okd.example.com:5000"
    assert found[okd[1]] == [f"{registry}/{content}"]
    own = plan.settings.release.reference.path
    assert found[okd[0]] == list(dict.fromkeys([f"{registry}/{own}", f"{registry}/{content}"]))
    assert set(okd) <= set(plan.mirror({"pull-secret": ""})["sources"])
    assert plan.mirror({"pull-secret": ""})["contentRepository"] == content


@pytest.mark.parametrize(
    ("image", "sources"),
    [
        (f"quay.io/okd/scos-release:{TAG}", []),
        (f"198.51.100.1:5000/okd/scos-release:{TAG}", []),
        (
            f"mirror.example.com:5000/openshift/okd4:{TAG}",
            ["mirror.example.com:5000/openshift/okd4", "quay.io/okd/scos-content"],
        ),
    ],
    ids=["OKD's own", "rebuilt under its names", "payload from its origin"],
)
def test_no_name_is_added_where_none_is_missing(image: str, sources: list[str]) -> None:
    given = {"sources": sources} if sources else {}
    release = Settings.parse(config(image=image, **given), "hard-way").release
    assert release.origins == ()
    assert release.sources == (
        tuple(sources) or tuple(image.partition(":4")[0].replace("-release", one) for one in ("-release", "-content"))
    )


def test_a_refused_image_hides_nothing_else() -> None:
    found = problems(image="nonsense", additionalImages=[f"localhost/x/y@{DIGEST}"])
    assert set(found) == {"release.image", "release.additionalImages[0]"}
