"""The cluster is born configured: each built-in manifest, each switch, and what a user adds."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import ignition, manifests, user_manifests
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from tests.cluster.conftest import planned
from tests.conftest import stack_config

OFF = {
    "chrony": False,
    "machineConfigPools": False,
    "imageRegistry": "default",
    "samplesOperator": "default",
    "defaultCatalogSources": "default",
    "adminUser": {"enabled": False},
    "ingressCertificate": False,
}
DISCARD = {"99-okd-discard-master.yaml", "99-okd-discard-worker.yaml"}
ALL = {
    "99-okd-admin-binding.yaml",
    "99-okd-admin-login.yaml",
    "99-okd-chrony-master.yaml",
    "99-okd-chrony-worker.yaml",
    *DISCARD,
    "99-okd-image-registry.yaml",
    "99-okd-ingress-controller.yaml",
    "99-okd-ingress-namespace.yaml",
    "99-okd-operator-hub.yaml",
    "99-okd-pool-infra.yaml",
    "99-okd-pool-storage.yaml",
    "99-okd-samples.yaml",
    "cluster-scheduler-02-config.yml",
}
SECRETS = {
    "registry_password": "word",
    "htpasswd": "admin:$2a$10$x\n",
    "certificate": "CERT\n",
    "key": "KEY\n",
    "ca_certificate": "CA\n",
}
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: openshift-config}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: mine, namespace: openshift-config}\nstringData: {a: word}\n"


def with_install(install: dict[str, Any], machines: str = "") -> Plan:
    def edit(config: dict[str, Any]) -> None:
        config["install"] = install
        if machines:
            config["machines"] = {name: one for name, one in config["machines"].items() if name.startswith(machines)}

    return planned("hard-way", edit)


def compact(install: dict[str, Any]) -> Plan:
    def edit(config: dict[str, Any]) -> None:
        config["install"] = install
        keep = ("bootstrap", "control-plane")
        config["machines"] = {name: one for name, one in config["machines"].items() if name.startswith(keep)}

    return planned("hard-way", edit)


def built_in(plan: Plan) -> dict[str, Any]:
    return manifests.built_in(plan)


def test_all_are_on_by_default_and_in_a_stable_order(hard_way: Plan) -> None:
    texts = ignition.manifest_texts(hard_way)
    assert set(texts) == ALL
    assert list(texts) == sorted(texts)
    for name, text in texts.items():
        assert yaml.safe_load(text) == built_in(hard_way)[name]


@pytest.mark.parametrize(
    ("key", "names"),
    {
        "chrony": {"99-okd-chrony-master.yaml", "99-okd-chrony-worker.yaml"},
        "machineConfigPools": {"99-okd-pool-infra.yaml", "99-okd-pool-storage.yaml"},
        "imageRegistry": {"99-okd-image-registry.yaml"},
        "samplesOperator": {"99-okd-samples.yaml"},
        "defaultCatalogSources": {"99-okd-operator-hub.yaml"},
        "adminUser": {"99-okd-admin-binding.yaml", "99-okd-admin-login.yaml"},
        "ingressCertificate": {"99-okd-ingress-namespace.yaml"},
    }.items(),
)
def test_each_can_be_turned_off_alone(key: str, names: set[str]) -> None:
    assert set(built_in(with_install({key: OFF[key]}))) == ALL - names


def test_with_all_off_the_scheduler_and_what_disks_need_are_left() -> None:
    plan = with_install(OFF | {"ingress": {"pool": "compute"}})
    assert set(built_in(plan)) == {*manifests.REPLACES, *DISCARD}
    assert plan.ignition_secrets == ("local-pull-secret",)


def schedulable(plan: Plan) -> bool:
    found: bool = built_in(plan)["cluster-scheduler-02-config.yml"]["spec"]["mastersSchedulable"]
    return found


def test_the_control_plane_takes_workloads_only_where_nothing_else_does() -> None:
    assert not schedulable(with_install({}))
    assert schedulable(compact({}))
    assert schedulable(with_install({"schedulableControlPlane": True}))
    assert not schedulable(with_install({"schedulableControlPlane": False}))


def test_no_compute_and_no_workloads_on_the_control_plane_is_refused() -> None:
    with pytest.raises(SettingsError, match="leave it out, or declare compute machines"):
        compact({"schedulableControlPlane": False})


def test_nodes_give_back_to_the_libvirt_host_what_they_have_deleted(hard_way: Plan) -> None:
    found = built_in(hard_way)
    for role in ("master", "worker"):
        one = found[f"99-okd-discard-{role}.yaml"]
        assert one["metadata"]["labels"] == {"machineconfiguration.openshift.io/role": role}
        assert one["spec"]["config"]["systemd"] == {"units": [{"name": "fstrim.timer", "enabled": True}]}


def test_nodes_follow_the_services_host_in_time(hard_way: Plan) -> None:
    found = built_in(hard_way)
    for role in ("master", "worker"):
        config = found[f"99-okd-chrony-{role}.yaml"]
        assert config["metadata"]["labels"] == {"machineconfiguration.openshift.io/role": role}
        assert config["spec"]["config"]["ignition"]["version"].startswith("3.")
        (file,) = config["spec"]["config"]["storage"]["files"]
        assert (file["path"], file["mode"], file["overwrite"]) == ("/etc/chrony.conf", 0o644, True)
        kind, _, encoded = file["contents"]["source"].partition(";base64,")
        assert kind == "data:text/plain;charset=utf-8"
        assert "server 192.168.200.254 iburst\n" in base64.b64decode(encoded).decode()


def test_a_machine_pool_takes_the_workers_configuration_and_its_own(hard_way: Plan) -> None:
    spec = built_in(hard_way)["99-okd-pool-infra.yaml"]["spec"]
    (wanted,) = spec["machineConfigSelector"]["matchExpressions"]
    assert wanted["values"] == ["worker", "infra"]
    assert spec["nodeSelector"] == {"matchLabels": {"node-role.kubernetes.io/infra": ""}}


def test_pools_without_machines_have_no_pool_in_the_cluster() -> None:
    assert not [name for name in built_in(planned("dev")) if "pool" in name]


def test_the_internal_registry_is_removed_or_ephemeral() -> None:
    removed = built_in(with_install({}))["99-okd-image-registry.yaml"]["spec"]
    assert (removed["managementState"], removed["storage"]) == ("Removed", {})
    ephemeral = built_in(with_install({"imageRegistry": "emptyDir"}))["99-okd-image-registry.yaml"]["spec"]
    assert (ephemeral["managementState"], ephemeral["storage"]) == ("Managed", {"emptyDir": {}})


def test_the_admin_logs_in_by_password_and_may_do_everything() -> None:
    plan = with_install({"adminUser": {"name": "root.user"}})
    found = built_in(plan)
    (provider,) = found["99-okd-admin-login.yaml"]["spec"]["identityProviders"]
    texts = plan.ignition_secret_texts(**SECRETS)
    secret = yaml.safe_load(texts["manifest-admin"])
    assert (secret["metadata"]["namespace"], secret["metadata"]["name"]) == (
        "openshift-config",
        provider["htpasswd"]["fileData"]["name"],
    )
    assert secret["stringData"] == {"htpasswd": SECRETS["htpasswd"]}
    assert found["99-okd-admin-binding.yaml"]["subjects"][0]["name"] == "root.user"
    assert plan.outputs()["adminUsername"] == "root.user"


def test_the_ingress_shows_a_certificate_of_our_authority(hard_way: Plan) -> None:
    spec = built_in(hard_way)["99-okd-ingress-controller.yaml"]["spec"]
    secret = yaml.safe_load(hard_way.ignition_secret_texts(**SECRETS)["manifest-ingress"])
    assert secret["metadata"] == {"name": spec["defaultCertificate"]["name"], "namespace": "openshift-ingress"}
    assert (secret["type"], secret["stringData"]) == (
        "kubernetes.io/tls",
        {"tls.crt": "CERT\nCA\n", "tls.key": "KEY\n"},
    )
    assert spec["replicas"] == 2


def with_files(directory: Path, files: dict[str, str], **install: Any) -> Plan:
    for name, text in files.items():
        (directory / name).write_text(text)
    return with_install({"manifests": str(directory), **install})


def test_a_users_manifests_join_and_their_secrets_travel_apart(tmp_path: Path) -> None:
    plan = with_files(tmp_path, {"b.yaml": CONFIG_MAP, "a.yml": SECRET, ".gitkeep": ""})
    assert ignition.manifest_texts(plan)["b.yaml"] == CONFIG_MAP
    assert "a.yml" not in ignition.manifest_texts(plan)
    texts = plan.ignition_secret_texts(**SECRETS)
    assert set(texts) == set(plan.ignition_secrets)
    assert SECRET in texts.values()
    assert all(name.replace("-", "").isalnum() for name in texts), "the services host takes no other names"


FAULTS = {
    "no YAML": ("a.yaml", "a: [", "not YAML"),
    "an object twice": ("a.yaml", f"{CONFIG_MAP}---\n{CONFIG_MAP}", "in a.yaml: keep one of the two"),
    "empty": ("a.yaml", "# later\n", "empty"),
    "no object": ("a.yaml", "- 1\n", "no Kubernetes object"),
    "no kind": ("a.yaml", "apiVersion: v1\nmetadata: {name: x}\n", "give apiVersion and kind"),
    "no name": ("a.yaml", "apiVersion: v1\nkind: ConfigMap\n", "give metadata.name"),
    "an empty list": (
        "a.json",
        '{"apiVersion": "v1", "kind": "List", "metadata": {"name": "x"}, "items": []}',
        "empty",
    ),
    "another ending": ("a.txt", CONFIG_MAP, "end the name in .yaml"),
    "a built-in's name": ("99-okd-samples.yaml", CONFIG_MAP, "choose another name"),
    "blanks in the name": ("a b.yaml", CONFIG_MAP, "use letters"),
    "a built-in's object": (
        "a.yaml",
        "apiVersion: config.openshift.io/v1\nkind: OAuth\nmetadata: {name: cluster}\n",
        "set install.adminUser.enabled to false",
    ),
}


@pytest.mark.parametrize(("name", "text", "words"), FAULTS.values(), ids=FAULTS)
def test_a_file_that_would_be_lost_or_stop_the_installation_is_named(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        with_files(tmp_path, {name: text})
    (problem,) = caught.value.problems
    assert (problem.setting, problem.value) == ("install.manifests", f"{tmp_path}/{name}")
    assert words in f"{problem.harm}; {problem.fix}"


def test_a_directory_within_is_named(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    assert [fault.fix for fault in user_manifests.load(tmp_path)[1]] == ["move its files up"]


def test_the_same_object_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"in a\.yaml: keep one of the two"):
        with_files(tmp_path, {"a.yaml": CONFIG_MAP, "b.yaml": CONFIG_MAP})


def test_a_users_object_may_stand_where_the_built_in_one_is_off(tmp_path: Path) -> None:
    login = "apiVersion: config.openshift.io/v1\nkind: OAuth\nmetadata: {name: cluster}\n"
    plan = with_files(tmp_path, {"a.yaml": login}, adminUser={"enabled": False})
    assert ignition.manifest_texts(plan)["a.yaml"] == login


def test_the_directory_is_the_projects(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.yaml").write_text(CONFIG_MAP)
    settings = Settings.parse(stack_config("prod") | {"install": {"manifests": "mine"}}, "prod", tmp_path)
    assert "a.yaml" in ignition.manifest_texts(Plan.of(settings))
