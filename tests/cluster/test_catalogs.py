"""Operator catalogs: what a cluster is given of what oc-mirror writes, and what refuses them by name."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from cluster import catalogs, changes, ignition, installation, media
from cluster.plan import Plan
from cluster.settings import Problem, Settings, SettingsError
from tests.cluster.conftest import planned
from tests.cluster.state import RELEASE, standing
from tests.conftest import stack_config

CATALOG = "quay.io/operatorhubio/catalog:latest"
REGISTRY = "services.okd.example.com:5000"
SOURCES = """\
apiVersion: operators.coreos.com/v1alpha1
kind: CatalogSource
metadata:
  annotations: {createdAt: "%(time)s", createdBy: oc-mirror v2}
  name: cs-catalog-latest
  namespace: openshift-marketplace
spec:
  image: services.okd.example.com:5000/operatorhubio/catalog:latest
  sourceType: grpc
status: {}
"""
CLUSTER_CATALOG = """\
apiVersion: olm.operatorframework.io/v1
kind: ClusterCatalog
metadata:
  annotations: {createdAt: "%(time)s"}
  name: cc-catalog-latest
spec:
  source:
    type: Image
    image: {ref: "services.okd.example.com:5000/operatorhubio/catalog:latest"}
"""
DIGESTS = """\
---
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata: {name: idms-operator-0, annotations: {createdAt: "%(time)s"}}
spec:
  imageDigestMirrors:
  - {source: quay.io/strimzi, mirrors: ["services.okd.example.com:5000/strimzi"]}
  - {source: quay.io/argoproj, mirrors: ["services.okd.example.com:5000/argoproj"]}
---
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata: {name: idms-release-0}
spec:
  imageDigestMirrors:
  - {source: quay.io/okd/scos-release, mirrors: ["services.okd.example.com:5000/openshift/release-images"]}
  - {source: quay.io/okd/scos-content, mirrors: ["services.okd.example.com:5000/openshift/release"]}
"""
TAGS = """\
---
apiVersion: config.openshift.io/v1
kind: ImageTagMirrorSet
metadata: {name: itms-operator-0}
spec:
  imageTagMirrors:
  - {source: ghcr.io/x, mirrors: ["services.okd.example.com:5000/x"]}
"""
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: signature, namespace: openshift-config-managed}\n"


def said(time: str = "Tuesday") -> dict[str, Any]:
    """What `mirror` reports after oc-mirror ran at `time`."""
    files = {
        "cs-catalog-latest.yaml": SOURCES,
        "cc-catalog-latest.yaml": CLUSTER_CATALOG,
        "idms-oc-mirror.yaml": DIGESTS,
        "itms-oc-mirror.yaml": TAGS,
        "signature-configmap.yaml": OTHER,
    }
    return {**RELEASE, "catalogs": {name: text.replace("%(time)s", time) for name, text in files.items()}}


def config(**release: Any) -> dict[str, Any]:
    found = copy.deepcopy(stack_config("hard-way"))
    found["release"], found["install"] = release, {}
    return found


def with_catalogs(**release: Any) -> Plan:
    given = {"engine": "oc-mirror", "operatorCatalogs": [{"catalog": CATALOG}]} | release
    return Plan.of(Settings.parse(config(**given), "hard-way"))


def problems(**release: Any) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config(**release), "hard-way")
    return caught.value.problems


def document(plan: Plan, release: dict[str, Any]) -> dict[str, Any]:
    hashes = dict.fromkeys(("pull-secret", *plan.ignition_secrets), "1" * 64)
    trust = next(iter(stack_config("dev")["release"]["trustedCertificates"]))
    with open(trust, encoding="utf-8") as file:
        authority = file.read()
    return ignition.document(
        plan,
        release=release,
        ca_certificate=authority,
        login_key="ssh-ed25519 login",
        hashes=hashes,
        generation="first",
        cluster="0",
    )


def test_nodes_are_born_with_the_catalogs_and_the_mirrors_of_what_is_in_them() -> None:
    texts = document(with_catalogs(), said())["manifests"]
    ours = {name: yaml.safe_load(text) for name, text in texts.items() if name.startswith(catalogs.PREFIX)}
    assert set(ours) == {
        "99-okd-catalog-catalogsource-cs-catalog-latest.yaml",
        "99-okd-catalog-imagedigestmirrorset-okd-operator-catalogs.yaml",
        "99-okd-catalog-imagetagmirrorset-okd-operator-catalogs.yaml",
    }
    source = ours["99-okd-catalog-catalogsource-cs-catalog-latest.yaml"]
    assert source["metadata"] == {"name": "cs-catalog-latest", "namespace": "openshift-marketplace"}
    assert source["spec"] == {"image": f"{REGISTRY}/operatorhubio/catalog:latest", "sourceType": "grpc"}
    rows = ours["99-okd-catalog-imagedigestmirrorset-okd-operator-catalogs.yaml"]["spec"]["imageDigestMirrors"]
    assert [row["source"] for row in rows] == ["quay.io/argoproj", "quay.io/strimzi"], "the installer knows the others"
    assert rows[0]["mirrors"] == [f"{REGISTRY}/argoproj"]


def test_mirroring_again_changes_nothing() -> None:
    plan = with_catalogs()
    assert document(plan, said("Tuesday")) == document(plan, said("Wednesday"))
    assert installation.completion(plan, said("Tuesday")) == installation.completion(plan, said("Wednesday"))


def test_a_running_cluster_is_given_them_too_and_a_cluster_catalog_then_only() -> None:
    given = installation.completion(with_catalogs(), said())["resources"]
    kinds = ["ImageDigestMirrorSet", "ImageTagMirrorSet", "CatalogSource", "ClusterCatalog"]
    assert [one["kind"] for one in given] == kinds
    assert json.loads(json.dumps(given)) == given


def test_nodes_keep_to_the_mirror_where_the_settings_say_so() -> None:
    given = config(engine="oc-mirror", operatorCatalogs=[{"catalog": CATALOG}])
    given["install"] = {"sourcePolicy": "NeverContactSource"}
    plan = Plan.of(Settings.parse(given, "hard-way"))
    rows = catalogs.objects(plan, said())[0]["spec"]["imageDigestMirrors"]
    assert {row["mirrorSourcePolicy"] for row in rows} == {"NeverContactSource"}


def test_a_stack_without_catalogs_is_told_as_before() -> None:
    plan = planned("hard-way")
    assert "resources" not in installation.completion(plan, said())
    assert not [name for name in document(plan, said())["manifests"] if name.startswith(catalogs.PREFIX)]


@pytest.mark.parametrize("more", [{}, {"operatorCatalogs": [{"catalog": CATALOG}]}], ids=["bare", "with catalogs"])
def test_media_and_oc_mirror_exclude_each_other(more: dict[str, Any]) -> None:
    (found,) = problems(engine="oc-mirror", media="/mnt/usb", **more)
    assert found.setting == "release.media"
    assert "release.engine = oc-mirror" in found.harm
    assert "set release.engine to oc" in found.fix


def test_a_release_whose_mirror_configuration_is_of_another_kind_takes_no_catalogs() -> None:
    (found,) = problems(
        engine="oc-mirror", operatorCatalogs=[{"catalog": CATALOG}], version="4.13.0-0.okd-2023-10-28-065448"
    )
    assert found.setting == "release.operatorCatalogs"
    assert "ImageContentSourcePolicy" in found.harm


def test_media_is_not_saved_for_oc_mirror(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(media, "stack_config", lambda path: config(engine="oc-mirror"))
    assert media.main(["--stack", "hard-way", "--directory", str(tmp_path)]) == 1
    assert "release.engine = oc-mirror" in capsys.readouterr().err


def test_what_a_change_of_catalogs_does_to_a_running_cluster_is_said() -> None:
    def engine(settings: dict[str, Any]) -> None:
        settings["release"] |= {"engine": "oc-mirror"}

    def more(settings: dict[str, Any]) -> None:
        engine(settings)
        settings["release"]["operatorCatalogs"] = [{"catalog": CATALOG}]

    told = changes.described(standing(planned("dev", engine), planned("dev", more)))
    assert any(words.startswith("release.operatorCatalogs: the running cluster gets") for words in told)
    assert not any(
        "release.operatorCatalogs" in words
        for words in changes.described(standing(planned("dev", more), planned("dev", more)))
    )
