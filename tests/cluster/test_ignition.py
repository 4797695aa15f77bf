"""What the services host is told to make ignition configs of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from cluster.ignition import signature_text
from cluster.plan import Plan
from tests.cluster.certificates import CERTIFICATE, OTHER_CERTIFICATE
from tests.cluster.conftest import planned
from tests.cluster.test_install_config import LOGIN_KEY
from tests.cluster.test_manifests import SECRETS
from tests.cluster.test_mirror import RELEASE


def document(plan: Plan) -> dict[str, Any]:
    texts = plan.ignition_secret_texts(**(SECRETS | {"ca_certificate": CERTIFICATE}))
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return plan.ignition(
        release=RELEASE,
        ca_certificate=CERTIFICATE,
        login_key=LOGIN_KEY,
        hashes=hashes,
        generation="first",
        cluster="id",
    )


def test_the_installer_is_told_of_the_mirrored_release_and_where_to_publish(hard_way: Plan) -> None:
    found = document(hard_way)
    assert found["release"] == RELEASE["release"]
    assert found["version"] == RELEASE["version"]
    assert found["publish"] == {
        "directory": "/var/www/okd/ignition",
        "group": "www-data",
        "mode": "0640",
        "selinux": None,
    }
    assert found["generation"] == "first"
    assert json.loads(json.dumps(found)) == found


def test_no_secret_is_in_it_but_every_hash(hard_way: Plan) -> None:
    found = document(hard_way)
    text = json.dumps(found)
    for secret in ("KEY", "CERT\\n", "$2a$10$x", "stringData"):
        assert secret not in text
    named = found["secretManifests"]
    assert isinstance(named, dict)
    assert {row["secret"] for row in named.values()} | {"local-pull-secret"} == set(hard_way.ignition_secrets)
    assert "pullSecret" not in str(found["installConfig"])


def test_the_releases_signature_is_one_of_the_manifests(hard_way: Plan) -> None:
    file = "99-okd-release-signature.yaml"
    assert yaml.safe_load(document(hard_way)["manifests"][file]) == RELEASE["signature"]
    without = planned("hard-way", lambda config: config.update(install={"releaseSignature": False}))
    assert file not in document(without)["manifests"]
    assert signature_text(hard_way, RELEASE | {"signature": None}) == {}


def test_fedora_labels_what_it_publishes() -> None:
    plan = planned("hard-way", lambda config: config["services"].update(operatingSystem="fedora"))
    publish = document(plan)["publish"]
    assert isinstance(publish, dict)
    assert (publish["group"], publish["selinux"]) == ("nginx", "httpd_sys_content_t")


def test_nodes_trust_our_authority_and_those_of_the_settings(tmp_path: object) -> None:
    path = f"{tmp_path}/ca.pem"
    with open(path, "w") as file:
        file.write(OTHER_CERTIFICATE + CERTIFICATE)
    plan = planned("hard-way", lambda config: config["release"].update(trustedCertificates=[path]))
    told = document(plan)["installConfig"]
    assert isinstance(told, dict)
    assert told["additionalTrustBundle"] == CERTIFICATE + OTHER_CERTIFICATE


def test_the_clusters_state_is_asked_behind_the_load_balancer(hard_way: Plan) -> None:
    api = {"url": "https://api.okd.example.com:6443", "address": "192.168.200.254"}
    assert hard_way.ignition_status() == {"renewAfterHours": 12, "api": api}
    assert document(hard_way)["api"] == api


def test_outputs_name_the_release_and_its_boot_image(hard_way: Plan) -> None:
    assert hard_way.release_output([RELEASE, {"kernel": "1" * 64, "stream": "c10s"}]) == {
        "version": RELEASE["version"],
        "digest": RELEASE["digest"],
        "image": RELEASE["release"],
        "verified": RELEASE["verified"],
        "bootImage": {"kernel": "1" * 64, "stream": "c10s"},
    }
    outputs = hard_way.outputs()
    assert outputs["consoleUrl"] == "https://console-openshift-console.apps.okd.example.com"
    assert outputs["registryUrl"] == "https://services.okd.example.com:5000"


def test_the_host_is_told_what_is_in_manifests_of_any_form(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{apiVersion: config.openshift.io/v1, kind: Proxy, metadata: {name: cluster}}")
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: x}\n")
    plan = planned("hard-way", lambda config: config.setdefault("install", {}).update(manifests=str(tmp_path)))
    assert document(plan)["objects"] == {
        "a.yaml": {"group": "config.openshift.io", "kind": "Proxy", "namespace": "", "name": "cluster"},
        "b.yaml": {"group": "", "kind": "Secret", "namespace": "x", "name": "s"},
    }


def test_without_manifests_of_the_users_nothing_is_told_of_them(hard_way: Plan) -> None:
    assert "objects" not in document(hard_way)
