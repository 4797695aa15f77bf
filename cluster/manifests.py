"""Install-time manifests: what the cluster is born with rather than patched to afterwards.

Owns the built-in manifests that hold no secret, by file name, and what of the installer's own they take the place of.
Does not own those with secrets (secret_manifests.py), nor what a user adds (user_manifests.py). One object a file: the
bootstrap machine reads no second one.
"""

from __future__ import annotations

import base64
from typing import Any

from cluster.render import render
from cluster.secret_manifests import ADMIN_SECRET, INGRESS_SECRET
from cluster.site import Site

Manifest = dict[str, Any]
Manifests = dict[str, Manifest]

SCHEDULER = "cluster-scheduler-02-config.yml"
# The installer's manifests that ours take the place of, by file name.
REPLACES = (SCHEDULER,)
# The release's signature, known once it is mirrored (ignition.py).
SIGNATURE_FILE = "99-okd-release-signature.yaml"
# The oldest that every supported release reads.
IGNITION_VERSION = "3.2.0"
CHRONY_CONFIG = "/etc/chrony.conf"
ROLES = ("master", "worker")


def built_in(site: Site) -> Manifests:
    """Every built-in manifest that the settings leave on, by file name."""
    install = site.settings.install
    found = scheduler(site) | discard()
    if install.chrony:
        found |= chrony(site)
    if install.machine_config_pools:
        found |= machine_config_pools(site)
    if install.image_registry != "default":
        found |= image_registry(ephemeral=install.image_registry == "emptyDir")
    if install.samples_operator == "removed":
        found |= samples_operator()
    if install.default_catalog_sources == "disabled":
        found |= operator_hub()
    if install.admin_user.enabled:
        found |= admin_user(install.admin_user.name)
    if install.ingress_certificate:
        found |= ingress(site)
    return found


def scheduler(site: Site) -> Manifests:
    """Whether the control plane takes workloads. The installer, which counts no compute machines, would have it so."""
    wanted = site.settings.install.schedulable_control_plane
    schedulable = not site.of_role("compute") if wanted == "auto" else wanted
    spec = {"mastersSchedulable": schedulable, "policy": {"name": ""}}
    return {SCHEDULER: _object("config.openshift.io/v1", "Scheduler", "cluster", spec=spec)}


def chrony_config(site: Site) -> str:
    """The nodes' chrony.conf: they follow the services host, over DHCP or not."""
    return render("chrony-node.conf.j2", server=site.services_address)


def chrony(site: Site) -> Manifests:
    """The nodes' time, by role; machine pools of compute take the worker's as well."""
    source = base64.b64encode(chrony_config(site).encode()).decode()
    file = {
        "path": CHRONY_CONFIG,
        "mode": 0o644,
        "overwrite": True,
        "contents": {"source": f"data:text/plain;charset=utf-8;base64,{source}"},
    }
    return _machine_configs("chrony", {"storage": {"files": [file]}})


def discard() -> Manifests:
    """What nodes have deleted goes back to the libvirt host once a week: CoreOS brings the timer, and leaves it off."""
    return _machine_configs("discard", {"systemd": {"units": [{"name": "fstrim.timer", "enabled": True}]}})


def _machine_configs(name: str, config: dict[str, Any]) -> Manifests:
    spec = {"config": {"ignition": {"version": IGNITION_VERSION}, **config}}
    return {
        f"99-okd-{name}-{role}.yaml": _object(
            "machineconfiguration.openshift.io/v1",
            "MachineConfig",
            f"99-okd-{name}-{role}",
            labels={"machineconfiguration.openshift.io/role": role},
            spec=spec,
        )
        for role in ROLES
    }


def machine_config_pools(site: Site) -> Manifests:
    """One pool for each of the machine pools of compute beside `compute`: the workers' configuration and their own."""
    pools = dict.fromkeys(machine.pool for machine in site.of_role("compute") if machine.pool != "compute")
    return {f"99-okd-pool-{pool}.yaml": _pool(pool) for pool in pools}


def _pool(name: str) -> Manifest:
    wanted = {"key": "machineconfiguration.openshift.io/role", "operator": "In", "values": ["worker", name]}
    return _object(
        "machineconfiguration.openshift.io/v1",
        "MachineConfigPool",
        name,
        spec={
            "machineConfigSelector": {"matchExpressions": [wanted]},
            "nodeSelector": {"matchLabels": {f"node-role.kubernetes.io/{name}": ""}},
            "paused": False,
        },
    )


def image_registry(*, ephemeral: bool) -> Manifests:
    """The cluster's internal registry: none, or one that keeps its images in a directory lost with its node.

    Platform `none` has no storage for it, and its operator would never be done waiting for some.
    """
    spec: dict[str, Any] = {"managementState": "Removed", "replicas": 1, "storage": {}}
    if ephemeral:
        spec |= {"managementState": "Managed", "storage": {"emptyDir": {}}}
    spec |= {"logLevel": "Normal", "operatorLogLevel": "Normal", "rolloutStrategy": "Recreate"}
    config = _object("imageregistry.operator.openshift.io/v1", "Config", "cluster", spec=spec)
    return {"99-okd-image-registry.yaml": config}


def samples_operator() -> Manifests:
    """No samples: their images lie in a registry that a disconnected cluster cannot reach."""
    spec = {"managementState": "Removed"}
    return {"99-okd-samples.yaml": _object("samples.operator.openshift.io/v1", "Config", "cluster", spec=spec)}


def operator_hub() -> Manifests:
    """No default catalogs: the same. The release brings an object of that name, and whichever is there first stays."""
    spec = {"disableAllDefaultSources": True}
    return {"99-okd-operator-hub.yaml": _object("config.openshift.io/v1", "OperatorHub", "cluster", spec=spec)}


def admin_user(name: str) -> Manifests:
    """A login by password with all rights; the password file is a secret manifest."""
    provider = {
        "name": "local",
        "mappingMethod": "claim",
        "type": "HTPasswd",
        "htpasswd": {"fileData": {"name": ADMIN_SECRET}},
    }
    binding = _object(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "okd-admin",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    )
    login = _object("config.openshift.io/v1", "OAuth", "cluster", spec={"identityProviders": [provider]})
    return {"99-okd-admin-binding.yaml": binding, "99-okd-admin-login.yaml": login}


def ingress(site: Site) -> Manifests:
    """The default ingress with a certificate of the stack's CA, which every node trusts through the install-config.

    The namespace of its secret is the ingress operator's, which makes it late and corrects what it finds.
    """
    namespace = _object(
        "v1",
        "Namespace",
        "openshift-ingress",
        annotations={"openshift.io/node-selector": "", "workload.openshift.io/allowed": "management"},
        labels={
            "name": "openshift-ingress",
            "network.openshift.io/policy-group": "ingress",
            "openshift.io/cluster-monitoring": "true",
            "pod-security.kubernetes.io/audit": "privileged",
            "pod-security.kubernetes.io/enforce": "privileged",
            "pod-security.kubernetes.io/warn": "privileged",
            "policy-group.network.openshift.io/ingress": "",
        },
    )
    machines = site.of_role("compute") or site.of_role("control-plane")
    controller = _object(
        "operator.openshift.io/v1",
        "IngressController",
        "default",
        namespace="openshift-ingress-operator",
        spec={"defaultCertificate": {"name": INGRESS_SECRET}, "replicas": min(2, len(machines))},
    )
    return {"99-okd-ingress-controller.yaml": controller, "99-okd-ingress-namespace.yaml": namespace}


def _object(version: str, kind: str, name: str, **rest: Any) -> Manifest:
    """A Kubernetes object; `labels`, `annotations` and `namespace` of `rest` belong to its metadata."""
    metadata = {"name": name} | {
        key: rest.pop(key) for key in ("namespace", "labels", "annotations") if rest.get(key) is not None
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
