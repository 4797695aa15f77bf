"""A cluster of what machines run, as the real openshift-install and oc see it once it is installed."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.node.asking import api_of, condition, ingress, machine_config, open_ports, secured
from tests.node.processes import DOMAIN, VERSION, Cluster
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def test_the_real_installer_waits_for_the_bootstrap_and_for_the_installation(whole: Any) -> None:
    assert whole.bootstrap.returncode == 0, whole.bootstrap.stderr
    assert "Bootstrap etcd member has been removed" in whole.bootstrap.stderr
    assert whole.complete.returncode == 0, whole.complete.stderr
    assert "Install complete!" in whole.complete.stderr
    assert f"https://console-openshift-console.apps.{DOMAIN}" in whole.complete.stderr


def test_a_complete_bootstrap_serves_no_api_and_its_member_of_the_store_goes_later(whole: Any) -> None:
    assert not {6443, 22623} & set(whole.at_complete)
    bootstrap = whole.machines["bootstrap"]
    whole.until("its member stops", lambda: open_ports(bootstrap.address) == [])
    told, removed = bootstrap.log().split("bootkube.service complete")
    assert "API and machine config are stopped" in told
    assert "this member is removed" in removed


def test_the_bootstrap_is_complete_at_two_machines_and_the_third_is_late(whole: Cluster) -> None:
    assert "2 are enough" in whole.machines["bootstrap"].log()
    late = [one.name for one in whole.of_role("control-plane") if "the third API server is late" in one.log()]
    assert len(late) == 1


def test_every_machine_is_a_node_with_its_own_uuid_and_address(whole: Cluster) -> None:
    nodes = {row["metadata"]["name"]: row for row in whole.objects("nodes")}
    machines = whole.of_role("control-plane", "compute")
    assert set(nodes) == {machine.fqdn for machine in machines}
    for machine in machines:
        status, labels = nodes[machine.fqdn]["status"], nodes[machine.fqdn]["metadata"]["labels"]
        assert status["nodeInfo"]["systemUUID"] == machine.uuid
        assert {"type": "InternalIP", "address": machine.address} in status["addresses"]
        plane = machine.role == "control-plane"
        assert ("node-role.kubernetes.io/control-plane" in labels) == plane
        assert ("node-role.kubernetes.io/worker" in labels) == (not plane)
        taints = [taint["key"] for taint in nodes[machine.fqdn]["spec"].get("taints", [])]
        assert taints == (["node-role.kubernetes.io/master"] if plane else [])


def test_each_machine_filed_one_client_and_one_serving_request(whole: Cluster) -> None:
    rows = [row["spec"] for row in whole.objects("csr")]
    bootstrapper = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
    client = [row for row in rows if row["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"]
    serving = [row for row in rows if row["signerName"] == "kubernetes.io/kubelet-serving"]
    machines = whole.of_role("control-plane", "compute")
    assert len(rows) == len(client) + len(serving) == 2 * len(machines)
    assert {row["username"] for row in client} == {bootstrapper}
    assert {row["username"] for row in serving} == {f"system:node:{machine.fqdn}" for machine in machines}


def test_the_version_is_what_the_release_image_is_labelled_with(whole: Cluster) -> None:
    version = json.loads(whole.oc("get", "clusterversion", "version", "-o", "json"))
    assert version["status"]["desired"] == {"version": VERSION, "image": whole.image}
    assert version["status"]["history"][0]["state"] == "Completed"
    assert {row["metadata"]["name"] for row in whole.objects("clusteroperators")} >= {"etcd", "ingress", "console"}
    assert all(condition(row, "Available")["status"] == "True" for row in whole.objects("clusteroperators"))


@pytest.mark.parametrize("pool", ["master", "worker"])
def test_the_control_plane_serves_machine_config_without_anything_that_signs(whole: Cluster, pool: str) -> None:
    for machine in whole.of_role("control-plane"):
        status, body = machine_config(whole, machine.address, pool)
        assert status == 200
        files = {row["path"]: row["contents"]["source"] for row in json.loads(body)["storage"]["files"]}
        role = base64.b64decode(files["/etc/miniature/role"].rpartition(",")[2]).decode()
        assert role.strip() == pool
        texts = [base64.b64decode(source.rpartition(",")[2]).decode() for source in files.values()]
        kubeconfigs = [text for text in texts if "client-key-data" in text]
        assert len(kubeconfigs) == 1
        assert "PRIVATE KEY" not in "".join(texts)
        users = json.loads(body)["passwd"]["users"]
        assert users[0]["name"] == "core"
        assert users[0]["sshAuthorizedKeys"][0].startswith("ssh-ed25519 ")


def test_the_worker_configuration_for_new_machines_is_kept_in_the_cluster(whole: Cluster) -> None:
    argv = ["get", "secret", "-n", "openshift-machine-api", "worker-user-data", "-o", "jsonpath={.data.userData}"]
    kept = json.loads(base64.b64decode(whole.oc(*argv)))
    assert kept == json.loads((whole.set / "worker.ign").read_text())


def test_a_drained_node_gets_no_router_and_an_uncordoned_one_gets_it_back(whole: Cluster) -> None:
    node = whole.machines["compute-0"]
    assert ingress(node.address) == f"miniature ingress of console.apps.{DOMAIN}\n"
    whole.oc("adm", "drain", node.fqdn, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=600s")
    whole.until("the router has stopped", lambda: not ingress(node.address))
    assert ingress(whole.machines["compute-1"].address)
    whole.oc("adm", "uncordon", node.fqdn)
    whole.until("the router is back", lambda: ingress(node.address))


def test_a_stream_through_a_router_outlives_another_ones_drain(whole: Cluster) -> None:
    kept, gone = whole.machines["compute-1"], whole.machines["compute-0"]
    with urllib.request.urlopen(f"http://{kept.address}/stream", timeout=PATIENCE_SECONDS) as stream:
        first = stream.readline()
        whole.oc("adm", "drain", gone.fqdn, "--ignore-daemonsets", "--force", "--timeout=600s")
        whole.until("the router has stopped", lambda: not ingress(gone.address))
        later = [stream.readline() for _ in range(3)]
    whole.oc("adm", "uncordon", gone.fqdn)
    assert first == f"1 {kept.fqdn}\n".encode()
    assert [line.split()[0] for line in later] == [b"2", b"3", b"4"]
    whole.until("the router is back", lambda: ingress(gone.address))


def test_pools_count_their_machines_by_label_and_a_machine_of_its_own_pool_is_not_the_workers(whole: Cluster) -> None:
    def counts() -> dict[str, int]:
        rows = whole.objects("machineconfigpools")
        return {row["metadata"]["name"]: row.get("status", {}).get("machineCount", 0) for row in rows}

    whole.until("the pools count", lambda: counts() == {"master": 3, "worker": 2})
    selector = {"matchLabels": {"node-role.kubernetes.io/infra": ""}}
    pool = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool"}
    pool |= {"metadata": {"name": "infra"}, "spec": {"nodeSelector": selector}}
    whole.oc("create", "-f", "-", stdin=json.dumps(pool))
    node = whole.machines["compute-1"].fqdn
    whole.oc("label", "node", node, "node-role.kubernetes.io/infra=")
    whole.until("its own pool counts it", lambda: counts() == {"master": 3, "worker": 1, "infra": 1})
    whole.oc("label", "node", node, "node-role.kubernetes.io/infra-")
    whole.oc("delete", "machineconfigpool", "infra")
    whole.until("the workers' does again", lambda: counts() == {"master": 3, "worker": 2})


def test_routers_run_where_the_ingress_controller_places_them(whole: Cluster) -> None:
    there, gone = whole.machines["compute-0"], whole.machines["compute-1"]
    place = ("patch", "ingresscontroller", "-n", "openshift-ingress-operator", "default", "--type=merge", "-p")

    def placed(selector: object) -> None:
        whole.oc(*place, json.dumps({"spec": {"nodePlacement": {"nodeSelector": {"matchLabels": selector}}}}))

    whole.oc("label", "node", there.fqdn, "routers=yes")
    placed({"routers": "yes"})
    whole.until("they have moved", lambda: ingress(there.address) and not ingress(gone.address))
    deployment = json.loads(whole.oc("get", "deployment", "-n", "openshift-ingress", "router-default", "-o", "json"))
    assert deployment["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "routers": "yes"}
    placed(None)
    whole.oc("label", "node", there.fqdn, "routers-")
    whole.until("they are back", lambda: ingress(there.address) and ingress(gone.address))


def test_etcd_tells_its_members_and_guards_them(whole: Cluster) -> None:
    def guard() -> int:
        words = ("get", "pdb", "-n", "openshift-etcd", "etcd-guard-pdb", "-o", "jsonpath={.status.disruptionsAllowed}")
        return int(whole.oc(*words, check=False) or -1)

    whole.until("one may go", lambda: guard() == 1)
    etcd = json.loads(whole.oc("get", "etcd", "cluster", "-o", "json"))
    assert condition(etcd, "EtcdMembersAvailable")["status"] == "True"
    assert condition(etcd, "EtcdMembersDegraded")["status"] == "False"
    whole.power_off("control-plane-2")
    whole.until("none may go", lambda: guard() == 0)
    etcd = json.loads(whole.oc("get", "etcd", "cluster", "-o", "json"))
    assert "2 of 3 members are available" in condition(etcd, "EtcdMembersAvailable")["message"]
    whole.start("control-plane-2")
    whole.until("one may go again", lambda: guard() == 1)


def test_routers_serve_tls_with_the_clusters_ingress_certificate(whole: Cluster) -> None:
    bundle = whole.oc(
        *("get", "configmap", "-n", "openshift-config-managed", "default-ingress-cert"),
        *("-o", r"jsonpath={.data.ca-bundle\.crt}"),
    )
    context = ssl.create_default_context(cadata=bundle)
    for machine in whole.of_role("compute"):
        with secured(context, machine.address, 443, f"console.apps.{DOMAIN}") as connection:
            connection.sendall(b"GET / HTTP/1.0\r\nHost: console\r\n\r\n")
            assert b"miniature ingress of console" in connection.recv(65536)


def test_workloads_on_the_control_plane_follow_the_scheduler(whole: Cluster) -> None:
    def tainted() -> int:
        return sum(bool(row["spec"].get("taints")) for row in whole.objects("nodes"))

    assert tainted() == 3
    for schedulable, left in ((True, 0), (False, 3)):
        patch = json.dumps({"spec": {"mastersSchedulable": schedulable}})
        whole.oc("patch", "scheduler", "cluster", "--type=merge", "-p", patch)
        whole.until("the taints follow", lambda left=left: tainted() == left)


def test_what_one_machine_was_told_is_read_from_every_other_at_once(whole: Cluster) -> None:
    plane = whole.of_role("control-plane")
    apis = {machine.name: api_of(whole, machine) for machine in plane}
    path = "/api/v1/namespaces/default/configmaps"
    for number in range(30):
        name = f"told-{number}"
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"number": str(number)}}
        assert apis[plane[number % 3].name]("POST", path, made)[0] == 201
        found = [apis[machine.name]("GET", f"{path}/{name}")[0] for machine in plane]
        assert found == [200, 200, 200]


def test_an_approved_request_for_something_else_is_not_signed(whole: Cluster, tmp_path: Path) -> None:
    subject = f"/O=system:masters/CN=system:node:compute-9.{DOMAIN}"
    argv = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        str(tmp_path / "key"),
    ]
    made = subprocess.run(argv, capture_output=True, check=True).stdout
    manifest = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "foreign"},
        "spec": {
            "request": base64.b64encode(made).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        },
    }
    whole.oc("create", "-f", "-", stdin=json.dumps(manifest))
    whole.oc("adm", "certificate", "approve", "foreign")

    def verdict() -> Any:
        row = json.loads(whole.oc("get", "csr", "foreign", "-o", "json"))
        return row["status"] if condition(row, "Failed") else None

    whole.until("it has failed", verdict)
    assert "certificate" not in verdict()
    whole.oc("delete", "csr", "foreign")
