"""What oc-mirror says that a cluster needs is handed on only when it speaks of every catalog, and the mirror has these."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.installation.conftest import agent

__all__ = ["agent"]
HOST = "services.okd.example.com:5000"
SOURCE = """\
apiVersion: operators.coreos.com/v1alpha1
kind: CatalogSource
metadata:
  name: cs-{name}
  namespace: openshift-marketplace
spec:
  image: {image}
  sourceType: grpc
"""


class Catalogs:
    """A mirror with some tags, and the files that oc-mirror left."""

    def __init__(self, agent: Any) -> None:
        self.agent, self.module = agent, agent.load("mirror.catalogs")
        self.tags = {"x/one": ["1"], "x/two": ["sha256:" + "2" * 64]}
        self.folder = Path(agent.load("mirror.places").path(*self.module.FOLDER))

    def get(self, kind: str, repository: str, reference: str) -> bytes:
        if reference not in self.tags.get(repository, []):
            raise self.agent.load("mirror.registry").Refused(HOST, 404, f"{repository}:{reference}: HTTP 404")
        return b"{}"

    def says(self, name: str, image: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"cs-{name}.yaml").write_text(SOURCE.format(name=name, image=image))

    def job(self, *catalogs: str) -> Any:
        operators = [{"catalog": one} for one in catalogs]
        document = {"imageSet": {"mirror": {"operators": operators} if catalogs else {}}}
        return SimpleNamespace(document=document, host=HOST, mirror=self)

    def found(self, *catalogs: str) -> dict[str, str]:
        made: dict[str, str] = self.module.found(self.job(*catalogs))
        return made

    def refused(self, *catalogs: str) -> Any:
        with pytest.raises(self.agent.failed) as caught:
            self.module.found(self.job(*catalogs))
        return caught.value


@pytest.fixture
def catalogs(agent: Any) -> Catalogs:
    return Catalogs(agent)


def test_the_files_of_every_catalog_are_handed_on(catalogs: Catalogs) -> None:
    catalogs.says("one", f"{HOST}/x/one:1")
    catalogs.says("two", f'"{HOST}/x/two@sha256:{"2" * 64}"')
    (catalogs.folder / "signature-configmap.json").write_text("{}")
    assert set(catalogs.found("quay.io/x/one:1", f"quay.io/x/two@sha256:{'2' * 64}")) == {"cs-one.yaml", "cs-two.yaml"}


def test_a_mirror_without_catalogs_hands_on_nothing(catalogs: Catalogs) -> None:
    catalogs.says("one", f"{HOST}/x/one:1")
    assert catalogs.found() == {}


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (f"{HOST}/x/other:1", f"has an image of {HOST}/x/one"),
        ("registry.example.com/x/one:1", f"has an image of {HOST}/x/one"),
        (f"{HOST}/x/one:2", "HTTP 404"),
    ],
    ids=["another catalog", "another registry", "not in the mirror"],
)
def test_a_catalog_that_oc_mirror_left_out_is_named(catalogs: Catalogs, image: str, why: str) -> None:
    catalogs.says("one", image)
    failure = catalogs.refused("quay.io/x/one:1")
    assert failure.why == "the operator catalog quay.io/x/one:1 is not in the mirror"
    assert why in failure.message
    assert "release.operatorCatalogs" in failure.remedy


def test_nothing_of_an_earlier_run_is_taken_for_this_ones(catalogs: Catalogs) -> None:
    catalogs.says("one", f"{HOST}/x/one:1")
    catalogs.module.forget()
    assert catalogs.module.texts() == {}
    catalogs.module.forget()
    assert "no CatalogSource" in catalogs.refused("quay.io/x/one:1").message
