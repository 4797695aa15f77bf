"""Ignition configs by the real openshift-install."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from lab.release import tools
from tests.node import registry

DOMAIN = "okd.lab.example"


def scheduler(schedulable: bool) -> dict[str, str]:
    """The program's own manifest in place of the installer's."""
    spec = {"mastersSchedulable": schedulable, "policy": {"name": ""}}
    manifest = {
        "apiVersion": "config.openshift.io/v1",
        "kind": "Scheduler",
        "metadata": {"name": "cluster"},
        "spec": spec,
    }
    return {"cluster-scheduler-02-config.yml": yaml.safe_dump(manifest)}


def make_set(
    into: Path, *, image: str, control_plane: int, trust: str, manifests: Mapping[str, str], registry_host: str
) -> None:
    """Let the real openshift-install make ignition configs; `manifests` join its own by file name."""
    into.mkdir(parents=True)
    config = {
        "apiVersion": "v1",
        "baseDomain": DOMAIN.partition(".")[2],
        "metadata": {"name": DOMAIN.partition(".")[0]},
        "controlPlane": {"name": "master", "replicas": control_plane},
        "compute": [{"name": "worker", "replicas": 0}],
        "networking": {
            "networkType": "OVNKubernetes",
            "clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}],
            "serviceNetwork": ["172.30.0.0/16"],
            "machineNetwork": [{"cidr": "192.168.200.0/24"}],
        },
        "platform": {"none": {}},
        "sshKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1SRJIBvJuhDE2wLNIEHBFkkM9NHTDGK/CUFSUSFaCe lab",
        "additionalTrustBundle": trust,
        "additionalTrustBundlePolicy": "Always",
        "pullSecret": json.dumps({"auths": {registry_host: {"auth": registry.AUTH}}}),
    }
    (into / "install-config.yaml").write_text(yaml.safe_dump(config))
    environment = {**os.environ, "OPENSHIFT_INSTALL_RELEASE_IMAGE_OVERRIDE": image}
    for what in ("manifests", "ignition-configs"):
        argv = [str(tools.installer()), "create", what, "--dir", str(into)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for name, text in manifests.items() if what == "manifests" else ():
            ours = (into / "manifests" / name).exists()
            (into / ("manifests" if ours else "openshift") / name).write_text(text)
