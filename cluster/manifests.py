"""Install-time manifests: what the cluster is born with rather than patched to afterwards.

Owns the built-in manifests that hold no secret, by file name, and what of the installer's own they take the place of.
Does not own those with secrets (secret_manifests.py), nor what a user adds (user_manifests.py). One object a file: the
bootstrap machine reads no second one.
"""

from __future__ import annotations

import base64
from typing import Any

from cluster import ingress as routers
from cluster.render import render
from cluster.secret_manifests import ADMIN_SECRET, INGRESS_SECRET, user_manifests
from cluster.site import Site
from cluster.user_manifests import Identity

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
INGRESS_FILE = "99-okd-ingress-controller.yaml"
INGRESS_CONTROLLER = "operator.openshift.io/v1", "IngressController", "default", "openshift-ingress-operator"


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
        found |= ingress_namespace()
    if install.ingress_certificate or (routers.placement(site) and not _users_own_ingress(site)):
        found[INGRESS_FILE] = ingress(site)
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


def ingress_namespace() -> Manifests:
    """The namespace of the ingress' certificate: it is the ingress operator's, which makes it late and corrects it."""
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
    return {"99-okd-ingress-namespace.yaml": namespace}


def ingress(site: Site) -> Manifest:
    """The default ingress on its pool, with a certificate of the stack's CA, which every node trusts."""
    spec: dict[str, Any] = {}
    if site.settings.install.ingress_certificate:
        spec["defaultCertificate"] = {"name": INGRESS_SECRET}
    spec["replicas"] = routers.of(site).replicas
    if placement := routers.placement(site):
        spec["nodePlacement"] = placement
    return _object(*INGRESS_CONTROLLER[:2], INGRESS_CONTROLLER[2], namespace=INGRESS_CONTROLLER[3], spec=spec)


def _users_own_ingress(site: Site) -> bool:
    """Whether the default one is among the user's manifests, and no setting says otherwise."""
    version, kind, name, namespace = INGRESS_CONTROLLER
    own = Identity(version.partition("/")[0], kind, namespace, name)
    explicit = site.settings.install.ingress.pool is not None
    return not explicit and any(one.identity == own for one in user_manifests(site))


def _object(version: str, kind: str, name: str, **rest: Any) -> Manifest:
    """A Kubernetes object; `labels`, `annotations` and `namespace` of `rest` belong to its metadata."""
    metadata = {"name": name} | {
        key: rest.pop(key) for key in ("namespace", "labels", "annotations") if rest.get(key) is not None
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
