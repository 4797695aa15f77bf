"""What the mirror reports of operator catalogs reaches the installer, and the cluster that runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.test_catalogs import CATALOG, said
from tests.components import conftest
from tests.components.test_program import Runner


def document(run: conftest.Run, name: str) -> dict[str, Any]:
    text = str(run.recording.named(name, "Command").inputs["stdin"])
    found: dict[str, Any] = json.loads(text.partition("\n")[2])
    return found


def with_catalogs(config: dict[str, Any]) -> None:
    config["release"] |= {"engine": "oc-mirror", "operatorCatalogs": [{"catalog": CATALOG}]}


def test_the_installer_and_the_running_cluster_are_told_of_the_catalogs(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = conftest.MIRRORED | {"catalogs": said()["catalogs"]}
    monkeypatch.setitem(conftest.PRINTED, "mirror-release", f"result: {json.dumps(reported)}")
    built = run("hard-way", with_catalogs)
    manifests = document(built, "ignition-set")["manifests"]
    assert "99-okd-catalog-catalogsource-cs-catalog-latest.yaml" in manifests
    assert not [name for name in manifests if "clustercatalog" in name], "its kind comes with an operator, later"
    kinds = {one["kind"] for one in document(built, "installation-complete")["resources"]}
    assert kinds == {"CatalogSource", "ClusterCatalog", "ImageDigestMirrorSet", "ImageTagMirrorSet"}
