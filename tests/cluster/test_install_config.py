"""The install-config says what the settings say, in the words that the release knows."""

from __future__ import annotations

from typing import Any

from cluster import install_config
from cluster.plan import Plan
from tests.cluster.certificates import CERTIFICATE
from tests.cluster.conftest import of_architecture, planned

LOGIN_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp login"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp me@example.com"


def document(install: dict[str, Any] | None = None, **release: Any) -> dict[str, Any]:
    def edit(config: dict[str, Any]) -> None:
        config["install"], config["release"] = install or {}, release

    return told(planned("hard-way", edit))


def told(plan: Plan) -> dict[str, Any]:
    return install_config.document(plan, CERTIFICATE, f"{LOGIN_KEY}\n")


def test_the_whole_document() -> None:
    registry = "services.okd.example.com:5000"
    assert document() == {
        "apiVersion": "v1",
        "baseDomain": "example.com",
        "metadata": {"name": "okd"},
        "compute": [{"name": "worker", "architecture": "amd64", "hyperthreading": "Enabled", "replicas": 0}],
        "controlPlane": {"name": "master", "architecture": "amd64", "hyperthreading": "Enabled", "replicas": 3},
        "networking": {
            "networkType": "OVNKubernetes",
            "clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}],
            "serviceNetwork": ["172.30.0.0/16"],
            "machineNetwork": [{"cidr": "192.168.200.0/24"}],
        },
        "platform": {"none": {}},
        "fips": False,
        "sshKey": LOGIN_KEY,
        "additionalTrustBundle": CERTIFICATE,
        "additionalTrustBundlePolicy": "Always",
        "imageDigestSources": [
            {
                "source": "quay.io/okd/scos-release",
                "mirrors": [f"{registry}/okd/scos-release", f"{registry}/okd/scos-content"],
            },
            {"source": "quay.io/okd/scos-content", "mirrors": [f"{registry}/okd/scos-content"]},
        ],
    }


def test_an_old_release_is_told_in_its_own_words() -> None:
    found = document(version="4.12.0-0.okd-2023-02-18-033438")
    assert [one["source"] for one in found["imageContentSources"]] == [
        "quay.io/openshift/okd",
        "quay.io/openshift/okd-content",
    ]
    assert not {"imageDigestSources", "additionalTrustBundlePolicy"} & set(found)
    between = document(version="4.13.0-0.okd-2023-05-03-001308")
    assert between["additionalTrustBundlePolicy"] == "Always"
    assert "imageContentSources" in between


def test_sources_may_be_out_of_bounds() -> None:
    sources = document({"sourcePolicy": "NeverContactSource"})["imageDigestSources"]
    assert {one["sourcePolicy"] for one in sources} == {"NeverContactSource"}


def test_every_key_may_log_in_once() -> None:
    assert document({"sshKeys": [OTHER_KEY, LOGIN_KEY]})["sshKey"] == f"{LOGIN_KEY}\n{OTHER_KEY}"


def test_the_clusters_own_domain_is_reached_without_the_proxy() -> None:
    proxy = {"http": "http://192.168.200.8:3128", "noProxy": ["10.0.0.0/8"]}
    assert document({"proxy": proxy})["proxy"] == {
        "httpProxy": "http://192.168.200.8:3128",
        "noProxy": ".okd.example.com,10.0.0.0/8",
    }
    everything = {"https": "http://192.168.200.8:3128", "noProxy": ["*"]}
    assert document({"proxy": everything})["proxy"]["noProxy"] == "*"


def test_networks_are_the_settings() -> None:
    install = {"clusterNetwork": "10.64.0.0/16", "hostPrefix": 24, "serviceNetwork": "10.65.0.0/16"}
    found = document(install)
    assert found["networking"]["clusterNetwork"] == [{"cidr": "10.64.0.0/16", "hostPrefix": 24}]
    assert found["networking"]["serviceNetwork"] == ["10.65.0.0/16"]


def test_machines_of_another_architecture_need_boot_loaders_and_nothing_else() -> None:
    found = told(of_architecture(planned("hard-way"), "aarch64"))
    assert found["controlPlane"]["architecture"] == found["compute"][0]["architecture"] == "arm64"
