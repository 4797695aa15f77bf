"""The real `oc` works with the miniature API as with any other server."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.node.authority import signing_request
from tests.node.members import BOOTSTRAPPER, Cluster
from tests.node.objects import CSRS, OPERATORS, csr, node

pytestmark = pytest.mark.release

WHEN = "2026-01-01T00:00:00Z"


def conditions(**status: str) -> list[dict[str, str]]:
    return [
        {"type": name, "status": value, "message": f"{name} is {value}", "lastTransitionTime": WHEN}
        for name, value in status.items()
    ]


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def populated(cluster: Cluster) -> Cluster:
    """A cluster with a node, an operator, a version and a request."""
    admin = cluster.as_()
    ready = node("cp-0.okd.lab.example", "control-plane")
    ready["metadata"]["labels"]["node-role.kubernetes.io/master"] = ""
    ready["status"] = {
        "conditions": conditions(Ready="True"),
        "addresses": [{"type": "InternalIP", "address": "192.168.200.11"}],
        "nodeInfo": {"kubeletVersion": "v1.32.0", "osImage": "miniature CoreOS", "kernelVersion": "6.1"},
    }
    assert admin.post("/api/v1/nodes", ready).status == 201
    made = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterOperator", "metadata": {"name": "etcd"}}
    made["status"] = {
        "conditions": conditions(Available="True", Progressing="False", Degraded="True"),
        "versions": [{"name": "operator", "version": "4.19.0"}],
    }
    assert admin.post(OPERATORS, made).status == 201
    made = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterVersion", "metadata": {"name": "version"}}
    made["status"] = {
        "conditions": conditions(Available="True", Progressing="False"),
        "history": [{"state": "Completed", "version": "4.19.0"}],
    }
    assert admin.post("/apis/config.openshift.io/v1/clusterversions", made).status == 201
    bootstrapper = cluster.as_(BOOTSTRAPPER, "system:serviceaccounts")
    assert bootstrapper.post(CSRS, csr("csr-one")).status == 201
    return cluster


def test_get_nodes(populated: Cluster) -> None:
    found = rows(populated.oc("get", "nodes", "-o", "wide"))
    assert found[0][:8] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE"]
    assert found[1][:3] == ["cp-0.okd.lab.example", "Ready", "control-plane,master"]
    assert found[1][4:6] == ["v1.32.0", "192.168.200.11"]


def test_get_as_json_and_by_name_and_selector(populated: Cluster) -> None:
    listed = json.loads(populated.oc("get", "nodes", "-o", "json", "-l", "node-role.kubernetes.io/master").stdout)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["cp-0.okd.lab.example"]
    one = populated.oc("get", "node", "cp-0.okd.lab.example", "-o", "jsonpath={.status.nodeInfo.kernelVersion}")
    assert one.stdout == "6.1"
    missing = populated.oc("get", "node", "other")
    assert missing.stderr == 'Error from server (NotFound): nodes "other" not found\n'


def test_get_clusterversion_and_clusteroperators(populated: Cluster) -> None:
    version = rows(populated.oc("get", "clusterversion"))
    assert version[0] == ["NAME", "VERSION", "AVAILABLE", "PROGRESSING", "SINCE", "STATUS"]
    assert version[1][:4] == ["version", "4.19.0", "True", "False"]
    operator = rows(populated.oc("get", "co"))
    assert operator[1][:5] == ["etcd", "4.19.0", "True", "False", "True"]
    assert operator[1][6:] == ["Degraded", "is", "True"]


def test_get_several_at_once(populated: Cluster) -> None:
    done = populated.oc("get", "nodes,csr,clusterversion,clusteroperators", "-o", "name")
    assert set(done.stdout.split()) >= {
        "node/cp-0.okd.lab.example",
        "certificatesigningrequest.certificates.k8s.io/csr-one",
        "clusterversion.config.openshift.io/version",
        "clusteroperator.config.openshift.io/etcd",
    }


def test_a_watch_shows_rows_as_they_change(populated: Cluster) -> None:
    argv = populated.oc_argv("get", "nodes", "-w")
    home = {"HOME": str(populated.directory), "PATH": "/usr/bin"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=home) as watching:
        assert watching.stdout
        assert watching.stdout.readline().split()[0] == "NAME"
        assert watching.stdout.readline().split()[1] == "Ready"
        patch = {"spec": {"unschedulable": True}}
        path = "/api/v1/nodes/cp-0.okd.lab.example"
        populated.as_().ask("PATCH", path, patch, kind="application/merge-patch+json")
        assert watching.stdout.readline().split()[:2] == ["cp-0.okd.lab.example", "Ready,SchedulingDisabled"]
        watching.terminate()
    patch["spec"]["unschedulable"] = None
    populated.as_().ask("PATCH", path, patch, kind="application/merge-patch+json")


def test_approve_and_deny(populated: Cluster) -> None:
    for name in ("csr-approved", "csr-denied"):
        populated.as_(BOOTSTRAPPER).post(CSRS, csr(name))
    approved = populated.oc("adm", "certificate", "approve", "csr-approved")
    assert approved.stdout == "certificatesigningrequest.certificates.k8s.io/csr-approved approved\n", approved.stderr
    assert populated.oc("adm", "certificate", "deny", "csr-denied").returncode == 0
    shown = {row[0]: row[-1] for row in rows(populated.oc("get", "csr"))}
    assert (shown["csr-approved"], shown["csr-denied"], shown["csr-one"]) == ("Approved", "Denied", "Pending")


def test_cordon_drain_uncordon(populated: Cluster) -> None:
    admin, name = populated.as_(), "drained.okd.lab.example"
    admin.post("/api/v1/nodes", node(name))
    daemon_set = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "router"}, "spec": {}}
    owner = admin.post("/apis/apps/v1/namespaces/drained/daemonsets", daemon_set).body["metadata"]["uid"]
    kept = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "router", "uid": owner, "controller": True}]
    for pod, owners in (("plain", []), ("daemon", kept)):
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "ownerReferences": owners}}
        body["spec"] = {"nodeName": name, "containers": [{"name": "c"}], "volumes": [{"name": "v", "emptyDir": {}}]}
        body["status"] = {"phase": "Running"}
        assert admin.post("/api/v1/namespaces/drained/pods", body).status == 201

    words = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=600s"]
    refused = populated.oc("adm", "drain", name)
    assert "cannot delete DaemonSet-managed Pods" in refused.stderr
    done = populated.oc("adm", "drain", name, *words)
    assert (done.returncode, f"node/{name} drained" in done.stdout) == (0, True), done.stderr
    assert [row[0] for row in rows(populated.oc("get", "pods", "-n", "drained"))] == ["NAME", "daemon"]
    assert rows(populated.oc("get", "node", name))[1][1] == "Unknown,SchedulingDisabled"
    assert populated.oc("adm", "uncordon", name).stdout == f"node/{name} uncordoned\n"
    assert rows(populated.oc("get", "node", name))[1][1] == "Unknown"
    assert populated.oc("delete", "node", name).stdout == f'node "{name}" deleted\n'


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("v1 ConfigMap", {"data": {"a": "1", "b": "2"}}, {"data": {"a": "3"}}),
        ("config.openshift.io/v1 ImageDigestMirrorSet", {"spec": {"a": [1, 2]}}, {"spec": {"a": [3]}}),
    ],
)
def test_apply_makes_changes_and_leaves_alone(populated: Cluster, kind: str, first: dict, second: dict) -> None:
    version, kind = kind.split()
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "applied", "namespace": "default"}}
    said = []
    for content in (first, first, second):
        done = populated.oc("apply", "-f", "-", stdin=json.dumps(manifest | content))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split()[-1])
    assert said == ["created", "unchanged", "configured"]
    found = json.loads(populated.oc("get", kind, "applied", "-n", "default", "-o", "json").stdout)
    assert {name: found[name] for name in second} == second


def test_patch_label_annotate_delete(populated: Cluster) -> None:
    hub = {"apiVersion": "config.openshift.io/v1", "kind": "OperatorHub", "metadata": {"name": "cluster"}}
    assert populated.oc("create", "-f", "-", stdin=json.dumps(hub)).returncode == 0
    patch = '{"spec":{"disableAllDefaultSources":true}}'
    done = populated.oc("patch", "operatorhub", "cluster", "--type=merge", "-p", patch)
    assert done.stdout == "operatorhub.config.openshift.io/cluster patched\n", done.stderr
    steps = '[{"op":"replace","path":"/spec/disableAllDefaultSources","value":false}]'
    assert populated.oc("patch", "operatorhub", "cluster", "--type=json", "-p", steps).returncode == 0
    assert populated.oc("label", "operatorhub", "cluster", "a=b").returncode == 0
    assert populated.oc("annotate", "operatorhub", "cluster", "c=d").returncode == 0
    found = json.loads(populated.oc("get", "operatorhub", "cluster", "-o", "json").stdout)
    assert (found["spec"], found["metadata"]["labels"]) == ({"disableAllDefaultSources": False}, {"a": "b"})
    assert found["metadata"]["annotations"]["c"] == "d"
    assert populated.oc("delete", "operatorhub", "cluster").returncode == 0
    assert "NotFound" in populated.oc("get", "operatorhub", "cluster").stderr


def test_extract_and_secrets(populated: Cluster, tmp_path: Path) -> None:
    done = populated.oc("create", "secret", "generic", "login", "-n", "default", "--from-literal=word=öffne dich")
    assert done.returncode == 0, done.stderr
    assert populated.oc("extract", "secret/login", "-n", "default", f"--to={tmp_path}").returncode == 0
    assert (tmp_path / "word").read_text() == "öffne dich"


def test_who_and_what(populated: Cluster) -> None:
    assert populated.oc("whoami").stdout == "system:admin\n"
    assert populated.oc("auth", "can-i", "delete", "nodes").stdout == "yes\n"
    assert "Kubernetes Version: v1.32.0+miniature" in populated.oc("version").stdout
    assert populated.oc("wait", "--for=condition=Ready", "node/cp-0.okd.lab.example", "--timeout=600s").returncode == 0
    assert "System UUID" in populated.oc("describe", "node", "cp-0.okd.lab.example").stdout


def test_a_request_reads_back_as_it_was_filed(populated: Cluster) -> None:
    asked = signing_request("system:node:read-back")
    body = csr("csr-read-back", request=base64.b64encode(asked).decode())
    populated.as_(BOOTSTRAPPER).post(CSRS, body)
    found = populated.oc("get", "csr", "csr-read-back", "-o", "jsonpath={.spec.request}").stdout
    assert base64.b64decode(found) == asked


def test_commands_go_on_while_the_leader_is_lost(three: Cluster) -> None:
    url = three.members[1].url
    three.as_(url=url).post("/api/v1/nodes", node("kept"))
    three.members[0].kill()
    assert rows(three.oc("get", "nodes", url=url))[1][0] == "kept"
    assert three.oc("adm", "cordon", "kept", url=url).returncode == 0
