"""Operator catalogs reach a cluster that runs: made, corrected, or left alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.installation.fake_api import FakeApi
from tests.installation.machines import machines
from tests.installation.test_install import Site, site

__all__ = ["machines", "site"]
SOURCES = "/apis/operators.coreos.com/v1alpha1/namespaces/openshift-marketplace/catalogsources"
DIGESTS = "/apis/config.openshift.io/v1/imagedigestmirrorsets"
SOURCE: dict[str, Any] = {
    "apiVersion": "operators.coreos.com/v1alpha1",
    "kind": "CatalogSource",
    "metadata": {"name": "cs-one", "namespace": "openshift-marketplace"},
    "spec": {"image": "mirror/x/one:1", "sourceType": "grpc"},
}
MIRRORS: dict[str, Any] = {
    "apiVersion": "config.openshift.io/v1",
    "kind": "ImageDigestMirrorSet",
    "metadata": {"name": "okd-operator-catalogs"},
    "spec": {"imageDigestMirrors": [{"source": "quay.io/x", "mirrors": ["mirror/x"]}]},
}


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return next(line for line in capsys.readouterr().out.splitlines() if " operator hub: " in line)


def test_objects_that_are_missing_are_made_and_left_alone_from_then_on(
    site: Site, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    site.document["resources"] = [MIRRORS, SOURCE]
    site.wait()
    assert "2 made" in told(capsys)
    assert api.objects[f"{SOURCES}/cs-one"]["spec"] == SOURCE["spec"]
    # The cluster fills in what nobody asked for.
    api.objects[f"{SOURCES}/cs-one"]["spec"]["grpcPodConfig"] = {"securityContextConfig": "restricted"}
    site.wait()
    assert "2 there already" in told(capsys)


def test_what_differs_is_corrected(site: Site, api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.add(f"{DIGESTS}/okd-operator-catalogs", spec={"imageDigestMirrors": []})
    api.add(f"{SOURCES}/cs-one", spec={"image": "mirror/x/one:0", "sourceType": "grpc", "priority": 3})
    site.document["resources"] = [MIRRORS, SOURCE]
    site.wait()
    assert "2 changed" in told(capsys)
    assert api.objects[f"{DIGESTS}/okd-operator-catalogs"]["spec"] == MIRRORS["spec"]
    assert api.objects[f"{SOURCES}/cs-one"]["spec"] == {**SOURCE["spec"], "priority": 3}


def test_a_stack_without_catalogs_asks_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.wait()
    assert "catalogs" not in told(capsys)


def test_a_release_without_cluster_catalogs_does_without(
    site: Site, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogs = "/apis/olm.operatorframework.io/v1/clustercatalogs"
    api.refuse["POST", catalogs] = 404
    catalog = {
        "apiVersion": "olm.operatorframework.io/v1",
        "kind": "ClusterCatalog",
        "metadata": {"name": "cc-one"},
        "spec": {"source": {"type": "Image", "image": {"ref": "mirror/x/one:1"}}},
    }
    site.document["resources"] = [SOURCE, catalog]
    site.wait()
    assert "1 made, this cluster has no ClusterCatalog" in told(capsys)


def test_a_cluster_that_takes_no_catalog_source_fails_with_the_reason(site: Site, api: FakeApi) -> None:
    api.refuse["POST", SOURCES] = 403
    site.document["resources"] = [SOURCE]
    assert "does not take what is meant for its operator catalogs" in site.fails().why
