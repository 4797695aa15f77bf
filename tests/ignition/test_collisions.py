"""No manifest takes an installer's place unseen, however it is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from okd_host import report
from okd_host.ignition import manifests

THEIRS = "apiVersion: config.openshift.io/v1\nkind: Proxy\nmetadata:\n  name: cluster\n"
OBJECT = {"group": "config.openshift.io", "kind": "Proxy", "namespace": "", "name": "cluster"}
FORMS = {
    "in one line": "{apiVersion: config.openshift.io/v1, kind: Proxy, metadata: {name: cluster}}\n",
    "with quoted keys": '"apiVersion": config.openshift.io/v1\n"kind": Proxy\n"metadata": {"name": "cluster"}\n',
    "by an alias": "apiVersion: config.openshift.io/v1\nkind: Proxy\nmetadata: &m {name: cluster}\nspec: {of: *m}\n",
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A directory as the installer leaves it."""
    for folder in manifests.FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "manifests" / "cluster-proxy-01-config.yaml").write_text(THEIRS)
    return tmp_path


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_an_object_of_the_installers_is_found_in_every_form(made: Path, text: str) -> None:
    with pytest.raises(report.Failed) as failed:
        manifests.add(str(made), {"mine.yaml": text}, {"mine.yaml": OBJECT})
    assert (
        "mine.yaml: Proxy.config.openshift.io cluster is also in cluster-proxy-01-config.yaml" in failed.value.message
    )
    assert not (made / "openshift" / "mine.yaml").exists()


def test_another_object_is_put_beside(made: Path) -> None:
    manifests.add(str(made), {"mine.yaml": "{}\n"}, {"mine.yaml": OBJECT | {"name": "other"}})
    assert (made / "openshift" / "mine.yaml").read_text() == "{}\n"
