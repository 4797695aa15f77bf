"""What is mirrored from where to where, and what the verbs on the services host are told."""

from __future__ import annotations

import json
from typing import Any

from cluster import mirror
from cluster.plan import Plan
from tests.cluster.certificates import CERTIFICATE
from tests.cluster.conftest import of_architecture, planned

HASHES = {"pull-secret": "b" * 64}
IMAGE = f"quay.io/x/y@sha256:{'c' * 64}"
RELEASE: dict[str, Any] = {
    "release": f"services.okd.example.com:5000/okd/scos-release@sha256:{'a' * 64}",
    "digest": f"sha256:{'a' * 64}",
    "version": "4.22.0-okd-scos.7",
    "verified": True,
    "signature": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sha256-aaaa", "namespace": "openshift-config-managed"},
        "binaryData": {"sha256-aaaa-1": "c2lnbmVk"},
    },
}


def with_release(**release: Any) -> Plan:
    def edit(config: dict[str, Any]) -> None:
        config["release"] = release
        config["install"] = {}

    return planned("hard-way", edit)


def test_the_mirror_is_told_everything_and_no_secret(tmp_path: Any) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text(f"# ours\n{CERTIFICATE}\n")
    plan = with_release(
        image="198.51.100.1:5000/okd/scos-release:4.19.0-okd-scos.0",
        trustedCertificates=[str(certificate), str(certificate)],
        additionalImages=[IMAGE],
        media="/mnt/usb/",
        pullSecret='{"auths": {"x": {"auth": "dXNlcjpzZWNyZXQ="}}}',
    )
    document = plan.mirror(HASHES)
    assert document == {
        "release": {
            "image": "198.51.100.1:5000/okd/scos-release:4.19.0-okd-scos.0",
            "digest": None,
            "version": "4.19.0-okd-scos.0",
            "architecture": "x86_64",
        },
        "sources": ["198.51.100.1:5000/okd/scos-release", "198.51.100.1:5000/okd/scos-content"],
        "registry": "services.okd.example.com:5000",
        "releaseRepository": "okd/scos-release",
        "contentRepository": "okd/scos-content",
        "images": [{"source": IMAGE, "repository": "x/y"}],
        "engine": "oc",
        "imageSet": None,
        "archive": "/var/lib/okd-registry/okd-libvirt/downloads/oc.tar.gz",
        "trust": [CERTIFICATE],
        "registryCa": "/etc/docker/registry/tls/ca.crt",
        "storage": "/var/lib/okd-registry",
        "pullSecret": {"secret": "pull-secret", "sha256": "b" * 64},
        "attempts": 5,
        "media": {"directory": "/mnt/usb"},
        "units": {"registry": "docker-registry.service"},
    }
    assert json.loads(json.dumps(document)) == document


def test_nodes_look_for_a_source_where_its_images_lie() -> None:
    registry = "services.okd.example.com:5000"
    content = [f"{registry}/okd/scos-content"]
    assert mirror.mirrors(with_release(additionalImages=[IMAGE])) == {
        "quay.io/okd/scos-release": [f"{registry}/okd/scos-release", *content],
        "quay.io/okd/scos-content": content,
        "quay.io/x/y": [f"{registry}/x/y"],
    }


def test_one_repository_for_everything_needs_one_mirror() -> None:
    plan = with_release(
        image="registry.example.com/origin/release:4.22.0-okd-scos.7", sources=["registry.example.com/origin/release"]
    )
    assert mirror.content_repository(plan) == mirror.release_repository(plan) == "origin/release"
    assert set(map(tuple, mirror.mirrors(plan).values())) == {("services.okd.example.com:5000/origin/release",)}


def test_the_other_engine_is_told_exactly_this_release() -> None:
    catalogs = [{"catalog": "quay.io/x/catalog:1", "packages": ["a", "b"]}, {"catalog": "quay.io/x/other:1"}]
    plan = with_release(engine="oc-mirror", operatorCatalogs=catalogs, additionalImages=[IMAGE])
    document = of_architecture(plan, "aarch64").mirror(HASHES)
    assert document["imageSet"] == {
        "apiVersion": "mirror.openshift.io/v2alpha1",
        "kind": "ImageSetConfiguration",
        "mirror": {
            "platform": {
                "architectures": ["arm64"],
                "channels": [
                    {
                        "name": "4-stable",
                        "type": "okd",
                        "minVersion": "4.22.0-okd-scos.7",
                        "maxVersion": "4.22.0-okd-scos.7",
                    }
                ],
                "graph": False,
            },
            "operators": [
                {"catalog": "quay.io/x/catalog:1", "packages": [{"name": "a"}, {"name": "b"}]},
                {"catalog": "quay.io/x/other:1"},
            ],
            "additionalImages": [{"name": IMAGE}],
        },
    }
    assert document["releaseRepository"] == "openshift/release-images"
    assert document["contentRepository"] == "openshift/release"


def test_the_first_client_comes_with_its_sums() -> None:
    assert with_release().client_fetch(HASHES) == {
        "root": "/var/lib/okd-registry/okd-libvirt/downloads",
        "files": [
            {
                "url": "https://github.com/okd-project/okd/releases/download/4.22.0-okd-scos.7/"
                "openshift-client-linux-4.22.0-okd-scos.7.tar.gz",
                "sha256": None,
                "path": "oc.tar.gz",
                "sums": "sha256sum.txt",
            }
        ],
    }
    own = with_release(client={"location": "http://198.51.100.1:8081/tools/oc.tar.gz", "sha256": "d" * 64})
    assert own.client_fetch(HASHES)["files"][0]["sha256"] == "d" * 64


def test_tools_come_from_the_mirrored_release() -> None:
    assert with_release().tools(RELEASE, HASHES) == {
        "release": RELEASE["release"],
        "version": "4.22.0-okd-scos.7",
        "registryCa": "/etc/docker/registry/tls/ca.crt",
        "pullSecret": {"secret": "pull-secret", "sha256": "b" * 64},
    }
