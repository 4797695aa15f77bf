"""The real installer reads the install-config and our manifests, for every shape that a cluster can have."""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import consoles, ignition, install_config, manifests, mirror, pull_secret, secret_manifests
from cluster.certificates import bundle
from cluster.plan import Plan
from cluster.settings import Settings
from lab import release
from tests.cluster.test_manifests import OFF
from tests.conftest import stack_config
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.release
VERSION = "4.19.0-okd-scos.0"  # what the installer's module is of
DIGEST = f"sha256:{'a' * 64}"
LOGIN_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp login"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp me@example.com"
PROXY = {
    "http": "http://192.168.200.8:3128",
    "https": "https://192.168.200.9:3129",
    "noProxy": ["10.0.0.0/8", ".corp", "registry.example.com.", "10.20.0.8"],
}
NETWORKS = {"clusterNetwork": "10.64.0.0/18", "hostPrefix": 23, "serviceNetwork": "10.65.0.0/16"}
CASES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "three and two": (("bootstrap", "control-plane", "compute-0", "compute-1"), {}),
    "compact": (("bootstrap", "control-plane"), {}),
    "one": (("bootstrap", "control-plane-0"), {"imageRegistry": "emptyDir"}),
    "infra and storage": (("",), {"sshKeys": [OTHER_KEY]}),
    "with a proxy": (("",), {"proxy": PROXY}),
    "proxy for https alone, everything direct": (("",), {"proxy": {"https": "http://192.168.200.8", "noProxy": ["*"]}}),
    "own networks": (("",), NETWORKS),
    "everything off": (("",), OFF),
}


def planned(keep: tuple[str, ...], install: dict[str, Any]) -> Plan:
    config = copy.deepcopy(stack_config("hard-way"))
    config["machines"] = {name: one for name, one in config["machines"].items() if name.startswith(keep)}
    config["release"] = {
        "version": VERSION,
        "additionalImages": [f"quay.io/x/y@{DIGEST}", f"quay.io/okd/scos-content@{DIGEST}"],
    }
    config["install"] = install
    config["checks"] = {"minimumSizes": "ignore"}  # a single node wants eight processors
    return Plan.of(Settings.parse(config, "hard-way"))


@pytest.fixture(scope="module")
def installer() -> Path:
    return release.installer(None)


class Set:
    """One run of the installer in a directory of its own."""

    def __init__(self, installer: Path, plan: Plan, directory: Path, values: dict[str, str]) -> None:
        self.plan, self.directory, self._installer = plan, directory, installer
        trust = bundle(values["ca-certificate"])
        told = install_config.document(plan, trust, LOGIN_KEY)
        secret = {"pullSecret": pull_secret.local(plan, "okd", "word")}
        (directory / "install-config.yaml").write_text(json.dumps(told | secret))

    def create(self, target: str) -> str:
        """Run `openshift-install create <target>`; what it said."""
        argv = [str(self._installer), "create", target, "--dir", str(self.directory)]
        pull_spec = f"{self.plan.registry}/{mirror.release_repository(self.plan)}@{DIGEST}"
        environment = os.environ | {
            "OPENSHIFT_INSTALL_RELEASE_IMAGE_OVERRIDE": pull_spec,
            "HOME": str(self.directory),
        }
        done = subprocess.run(
            argv, capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def add(self, texts: dict[str, str]) -> list[str]:
        """Put manifests beside the installer's; the names that were there."""
        there = {path.name: path for path in self.directory.glob("*/*.y*ml")}
        for name, text in texts.items():
            there.get(name, self.directory / "openshift" / name).write_text(text)
        return sorted(set(there) & set(texts))

    def made(self, name: str) -> Any:
        """One of the installer's manifests."""
        return yaml.safe_load((self.directory / "manifests" / name).read_text())


@pytest.fixture
def new_set(installer: Path, values: dict[str, str], tmp_path: Path) -> Callable[[Plan], Set]:
    return lambda plan: Set(installer, plan, tmp_path, values)


@pytest.mark.parametrize(("keep", "install"), CASES.values(), ids=CASES)
def test_it_accepts_the_install_config_and_our_manifests(
    new_set: Callable[[Plan], Set], keep: tuple[str, ...], install: dict[str, Any]
) -> None:
    plan = planned(keep, install)
    one = new_set(plan)
    said = one.create("manifests")
    assert "deprecated" not in said
    assert "unknown field" not in said
    assert one.add(ignition.manifest_texts(plan)) == list(manifests.REPLACES)
    one.create("ignition-configs")
    files = _files(one.directory / "bootstrap.ign")
    for name, text in ignition.manifest_texts(plan).items():
        place = "manifests" if name in manifests.REPLACES else "openshift"
        assert yaml.safe_load(files[f"/opt/openshift/{place}/{name}"]) == yaml.safe_load(text)
    scheduler = yaml.safe_load(files[f"/opt/openshift/manifests/{manifests.SCHEDULER}"])
    assert scheduler["spec"]["mastersSchedulable"] is (not plan.of_role("compute"))


def test_what_it_makes_of_our_words(new_set: Callable[[Plan], Set], values: dict[str, str]) -> None:
    one = new_set(planned(("",), {"proxy": PROXY, "sshKeys": [OTHER_KEY]}))
    one.create("manifests")
    sources = one.made("image-digest-mirror-set.yaml")["spec"]["imageDigestMirrors"]
    registry = "services.okd.example.com:5000"
    assert {row["source"]: row["mirrors"] for row in sources} == {
        "quay.io/okd/scos-release": [f"{registry}/okd/scos-release", f"{registry}/okd/scos-content"],
        "quay.io/okd/scos-content": [f"{registry}/okd/scos-content"],
        "quay.io/x/y": [f"{registry}/x/y"],
    }
    proxy = one.made("cluster-proxy-01-config.yaml")
    assert proxy["spec"]["trustedCA"] == {"name": "user-ca-bundle"}
    assert ".okd.example.com" in proxy["status"]["noProxy"].split(",")
    trusted = one.made("user-ca-bundle-config.yaml")["data"]["ca-bundle.crt"]
    assert bundle(trusted) == bundle(values["ca-certificate"])
    one.create("ignition-configs")
    (user,) = json.loads((one.directory / "bootstrap.ign").read_text())["passwd"]["users"]
    assert "\n".join(user["sshAuthorizedKeys"]).splitlines()[:2] == [LOGIN_KEY, OTHER_KEY]


def test_secret_manifests_and_a_users_own_reach_the_bootstrap_machine(
    new_set: Callable[[Plan], Set], values: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    mine = tmp_path_factory.mktemp("mine")
    (mine / "a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: openshift-config}\n"
    )
    plan = planned(("",), {"manifests": str(mine)})
    one = new_set(plan)
    one.create("manifests")
    texts = plan.ignition_secret_texts(
        registry_password="word",
        htpasswd="admin:$2a$10$x\n",
        certificate=values["registry-certificate"],
        key=values["registry-key"],
        ca_certificate=values["ca-certificate"],
    )
    secrets = {file: texts[name] for file, name in secret_manifests.names(plan).items()}
    one.add(ignition.manifest_texts(plan) | secrets)
    one.create("ignition-configs")
    files = _files(one.directory / "bootstrap.ign")
    assert "name: mine" in files["/opt/openshift/openshift/a.yaml"]
    shown = yaml.safe_load(files[f"/opt/openshift/openshift/{secret_manifests.INGRESS_FILE}"])
    assert shown["stringData"]["tls.key"] == values["registry-key"]
    assert shown["stringData"]["tls.crt"].count("BEGIN CERTIFICATE") == 2


def test_configs_of_nodes_and_live_systems_are_ignition_to_the_official_reader(tmp_path: Path) -> None:
    plan = planned(("",), {})
    configs = {name: json.dumps(one["spec"]["config"]) for name, one in manifests.chrony(plan).items()}
    paths = []
    for name, text in (configs | consoles.live_configs(plan)).items():
        paths.append(tmp_path / f"{name}.ign")
        paths[-1].write_text(text)
    argv = [str(release.ignition_validator()), *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("valid (1 files, 0 units)") == 3


def test_a_word_that_the_release_does_not_know_is_lost_which_the_settings_check_spares(
    new_set: Callable[[Plan], Set],
) -> None:
    one = new_set(planned(("",), {}))
    path = one.directory / "install-config.yaml"
    told = json.loads(path.read_text())
    told["imageDigestSources"][0]["sourcePolicy"] = "NeverContactSource"
    path.write_text(json.dumps(told))
    assert 'unknown field "sourcePolicy"' in one.create("manifests").replace("\\", "")
    assert "mirrorSourcePolicy" not in str(one.made("image-digest-mirror-set.yaml"))


def _files(path: Path) -> dict[str, str]:
    """The texts of an ignition config's files by path."""
    rows = json.loads(path.read_text())["storage"]["files"]
    found = {}
    for row in rows:
        _, _, encoded = row.get("contents", {}).get("source", "").partition(";base64,")
        found[row["path"]] = base64.b64decode(encoded).decode(errors="replace")
    return found
