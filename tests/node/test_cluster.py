"""A cluster of the machines' own program, with the real openshift-install and oc as its users."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import manifests, secret_manifests
from tests.cluster.conftest import planned
from tests.node import registry
from tests.node.processes import DOMAIN, VERSION, Cluster, cluster

pytestmark = [pytest.mark.daemons, pytest.mark.release]


class Approving:
    """Somebody who approves whatever is pending, beside what the test does."""

    def __init__(self, made: Cluster) -> None:
        self.made, self.over = made, threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self) -> None:
        while not self.over.wait(1):
            self.made.approve_quietly()

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def secured(context: ssl.SSLContext, address: str, port: int, name: str) -> ssl.SSLSocket:
    """A connection whose server has shown a certificate for `name`."""
    plain = socket.create_connection((address, port), timeout=10)
    return context.wrap_socket(plain, server_hostname=name)


def machine_config(made: Cluster, address: str, pool: str) -> tuple[int, str]:
    """What a machine config server answers."""
    authority = base64.b64decode(_authority(made)).decode()
    context = ssl.create_default_context(cadata=authority)
    with secured(context, address, 22623, f"api-int.{DOMAIN}") as connection:
        connection.sendall(f"GET /config/{pool} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


def _authority(made: Cluster) -> str:
    pointer = json.loads((made.set / "master.ign").read_text())
    source: str = pointer["ignition"]["security"]["tls"]["certificateAuthorities"][0]["source"]
    return source.rpartition(",")[2]


def open_ports(address: str) -> list[int]:
    """Which of the control plane's ports are served there."""
    found = []
    for port in (6443, 22623, 2380):
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex((address, port)) == 0:
                found.append(port)
    return found


def condition(row: dict[str, Any], kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in row["status"]["conditions"] if one["type"] == kind]
    return found[0] if found else {}


def requests_of(made: Cluster) -> set[str]:
    return {row["metadata"]["name"] for row in made.objects("csr")}


def ingress(address: str, host: str = f"console.apps.{DOMAIN}") -> str:
    """What a router answers; "" when none does."""
    asked = urllib.request.Request(f"http://{address}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three control-plane and two compute machines, installed; every test leaves all of them Ready."""
    with cluster(tmp_path_factory.mktemp("whole")) as made:
        made.begin()
        with Approving(made):
            made.bootstrap = made.installer("wait-for", "bootstrap-complete")  # type: ignore[attr-defined]
            made.at_complete = open_ports(made.machines["bootstrap"].address)  # type: ignore[attr-defined]
            made.complete = made.installer("wait-for", "install-complete")  # type: ignore[attr-defined]
        yield made


def all_ready(made: Cluster) -> bool:
    return made.ready() == {machine.name for machine in made.of_role("control-plane", "compute")}


def test_the_real_installer_waits_for_the_bootstrap_and_for_the_installation(whole: Any) -> None:
    assert whole.bootstrap.returncode == 0, whole.bootstrap.stderr
    assert "Bootstrap etcd member has been removed" in whole.bootstrap.stderr
    assert whole.complete.returncode == 0, whole.complete.stderr
    assert "Install complete!" in whole.complete.stderr
    assert f"https://console-openshift-console.apps.{DOMAIN}" in whole.complete.stderr


def test_the_bootstrap_is_complete_only_after_it_serves_nothing_any_more(whole: Any) -> None:
    assert whole.at_complete == []
    assert "bootkube.service complete" in whole.machines["bootstrap"].log()


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
    whole.oc("adm", "drain", node.fqdn, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
    whole.until("the router has stopped", lambda: not ingress(node.address), 20)
    assert ingress(whole.machines["compute-1"].address)
    whole.oc("adm", "uncordon", node.fqdn)
    whole.until("the router is back", lambda: ingress(node.address), 20)


def test_a_stream_through_a_router_outlives_another_ones_drain(whole: Cluster) -> None:
    kept, gone = whole.machines["compute-1"], whole.machines["compute-0"]
    with urllib.request.urlopen(f"http://{kept.address}/stream", timeout=5) as stream:
        first = stream.readline()
        whole.oc("adm", "drain", gone.fqdn, "--ignore-daemonsets", "--force", "--timeout=60s")
        whole.until("the router has stopped", lambda: not ingress(gone.address), 20)
        later = [stream.readline() for _ in range(3)]
    whole.oc("adm", "uncordon", gone.fqdn)
    assert first == f"1 {kept.fqdn}\n".encode()
    assert [line.split()[0] for line in later] == [b"2", b"3", b"4"]
    whole.until("the router is back", lambda: ingress(gone.address), 20)


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


def test_a_machine_that_starts_again_files_no_request(whole: Cluster) -> None:
    before = requests_of(whole)
    whole.power_off("compute-1")
    whole.start("compute-1")
    whole.until("its router is back", lambda: ingress(whole.machines["compute-1"].address), 40)
    assert requests_of(whole) == before


def test_a_machine_that_is_shut_down_says_so_before_its_silence_is_noticed(whole: Cluster) -> None:
    whole.shut_down("compute-0")
    whole.until("it is NotReady", lambda: "compute-0" not in whole.ready(), 5)
    whole.start("compute-0")
    whole.until("it is back", lambda: all_ready(whole), 40)
    whole.until("its router is back", lambda: ingress(whole.machines["compute-0"].address), 40)


def test_a_deleted_node_stays_away_until_its_machine_starts_again(whole: Cluster) -> None:
    node = whole.machines["compute-1"]
    whole.oc("delete", "node", node.fqdn)
    time.sleep(25)
    assert node.name not in whole.ready()
    whole.power_off(node.name)
    whole.start(node.name)
    whole.until("it is back", lambda: all_ready(whole), 40)
    whole.until("its router is back", lambda: ingress(node.address), 40)


def test_workloads_on_the_control_plane_follow_the_scheduler(whole: Cluster) -> None:
    def tainted() -> int:
        return sum(bool(row["spec"].get("taints")) for row in whole.objects("nodes"))

    assert tainted() == 3
    for schedulable, left in ((True, 0), (False, 3)):
        patch = json.dumps({"spec": {"mastersSchedulable": schedulable}})
        whole.oc("patch", "scheduler", "cluster", "--type=merge", "-p", patch)
        whole.until("the taints follow", lambda left=left: tainted() == left, 20)


def test_one_machine_of_the_control_plane_may_fail(whole: Cluster) -> None:
    leader = next(m for m in whole.of_role("control-plane") if "this machine leads" in m.log())
    whole.power_off(leader.name)
    whole.until("the API answers", lambda: "Ready" in whole.oc("get", "nodes", check=False), 10)
    words = ["annotate", "nodes", "--all", "--overwrite", "lab/written=yes"]
    whole.until("it takes writes", lambda: "annotated" in whole.oc(*words, check=False), 20)
    whole.until("its node is NotReady", lambda: leader.name not in whole.ready(), 90)
    operators = {row["metadata"]["name"]: row for row in whole.objects("clusteroperators")}
    assert condition(operators["etcd"], "Degraded")["status"] == "True"
    assert leader.fqdn in condition(operators["etcd"], "Degraded")["message"]
    assert condition(operators["etcd"], "Available")["status"] == "True"
    whole.start(leader.name)
    whole.until("it is back", lambda: all_ready(whole), 60)


def test_a_power_cut_of_all_machines_is_survived_with_no_hand_on_it(whole: Cluster) -> None:
    before = requests_of(whole)
    stopped = time.time()
    whole.power_off()
    for name in whole.machines:
        whole.start(name)

    def beaten() -> bool:
        """Every lease was renewed after the cut."""
        rows = json.loads(whole.oc("get", "lease", "-n", "kube-node-lease", "-o", "json", check=False) or "{}")
        times = [row["spec"]["renewTime"] for row in rows.get("items", [])]
        cut = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stopped))
        return len(times) == 5 and min(times) > cut

    def quiet() -> bool:
        try:
            return beaten() and all_ready(whole)
        except ValueError:
            return False

    whole.until("all are back", quiet, 90)
    assert requests_of(whole) == before
    assert open_ports(whole.machines["bootstrap"].address) == []
    whole.until("routers are back", lambda: ingress(whole.machines["compute-0"].address), 30)


def test_a_rebuilt_machine_of_the_control_plane_takes_its_place_again(whole: Cluster) -> None:
    machine = whole.machines["control-plane-2"]
    whole.power_off(machine.name)
    shutil.rmtree(machine.root)
    machine.uuid = str(uuid.uuid4())
    whole.start(machine.name)

    def rebuilt() -> bool:
        row = json.loads(whole.oc("get", "node", machine.fqdn, "-o", "json", check=False))
        return bool(row["status"]["nodeInfo"]["systemUUID"] == machine.uuid and all_ready(whole))

    whole.until("it is Ready", rebuilt, 90, approving=True)
    whole.until("it serves", lambda: open_ports(machine.address) == [6443, 22623, 2380], 60)
    whole.power_off("control-plane-0")
    words = ["annotate", "nodes", "--all", "--overwrite", "lab/rebuilt=yes"]
    whole.until("it counts for the majority", lambda: "annotated" in whole.oc(*words, check=False), 30)
    whole.start("control-plane-0")
    whole.until("all are Ready", lambda: all_ready(whole), 60)


def test_a_machine_that_joins_later_waits_for_somebody_to_approve_it(whole: Cluster) -> None:
    before = requests_of(whole)
    added = whole.add_compute(2)
    whole.start(added.name)
    whole.until("its request is there", lambda: len(requests_of(whole)) == len(before) + 1, 60)
    time.sleep(6)
    assert added.fqdn not in whole.oc("get", "nodes")
    assert len(whole.approve()) == 1
    whole.until("its node is there", lambda: added.fqdn in whole.oc("get", "nodes"), 30)
    whole.until("its serving request is there", lambda: len(requests_of(whole)) == len(before) + 2, 30)
    time.sleep(6)
    assert added.name not in whole.ready()
    assert len(whole.approve()) == 1
    whole.until("it is Ready", lambda: added.name in whole.ready(), 30)


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

    whole.until("it has failed", verdict, 20)
    assert "certificate" not in verdict()
    whole.oc("delete", "csr", "foreign")


def test_three_machines_alone_take_workloads_and_ingress(tmp_path: Path) -> None:
    with cluster(tmp_path / "compact", compute=0) as made:
        made.install()
        assert all_ready(made)
        made.until("the ingress answers", lambda: ingress(made.balancer), 30)
        assert not any(row["spec"].get("taints") for row in made.objects("nodes"))


def test_the_programs_own_manifests_show_on_the_machines_and_in_the_ingress(tmp_path: Path) -> None:
    site = planned("dev")
    certificate = registry.certificates(tmp_path / "ingress", f"console.apps.{DOMAIN}").read_text()
    key = (tmp_path / "ingress/tls.key").read_text()
    secrets = secret_manifests.texts(site, htpasswd="okd:$2y$05$x", certificate=certificate, key=key, ca_certificate="")
    ours = {name: yaml.safe_dump(one) for name, one in manifests.built_in(site).items()}
    ours |= {file: secrets[name] for file, name in secret_manifests.names(site).items()}
    with cluster(tmp_path / "own", control_plane=1, compute=1, manifests=ours) as made:
        made.install()
        for machine in made.of_role("control-plane", "compute"):
            assert (machine.root / "etc/chrony.conf").read_text() == manifests.chrony_config(site)
        hub = json.loads(made.oc("get", "operatorhub", "cluster", "-o", "json"))
        assert hub["spec"]["disableAllDefaultSources"] is True
        context = ssl.create_default_context(cadata=certificate)
        address = made.machines["compute-0"].address
        made.until("HTTPS answers", lambda: answers_tls(context, address), 30)


def answers_tls(context: ssl.SSLContext, address: str) -> bool:
    try:
        secured(context, address, 443, f"console.apps.{DOMAIN}").close()
    except ConnectionRefusedError:
        return False
    return True


def test_one_machine_alone_is_a_cluster_whatever_power_cuts_the_bootstrap_sees(tmp_path: Path) -> None:
    with cluster(tmp_path / "single", control_plane=1, compute=0) as made:
        before = made.machines["bootstrap"]
        made.start_services()
        for name in made.machines:
            made.start(name)
        cuts = ["Starting etcd", "Waiting for 1 control-plane", "is a member of the store", "leaving the store"]
        for words in cuts:
            made.until(words, lambda words=words: words in before.log(), 90, approving=True)
            made.power_off(before.name)
            made.start(before.name)
        made.until("bootstrap complete", made.bootstrap_complete, 120, approving=True)
        made.until("version available", made.available, 90, approving=True)
        assert all_ready(made)
        made.power_off()
        for name in made.machines:
            made.start(name)
        made.until("it is back", lambda: all_ready(made) and ingress(made.balancer), 60)


def test_a_bootstrap_without_its_registry_says_so_and_goes_on_when_it_answers(tmp_path: Path) -> None:
    with cluster(tmp_path / "late", control_plane=1, compute=0) as made:
        made.start("bootstrap")
        bootstrap = made.machines["bootstrap"]
        made.until("it says so", lambda: "release-image: Pull failed. Retrying" in bootstrap.log(), 20)
        assert open_ports(bootstrap.address) == []
        made.start_services()
        made.until("it goes on", lambda: "Waiting for 1 control-plane" in bootstrap.log(), 40)
        assert machine_config(made, bootstrap.address, "master")[0] == 200
        status, body = machine_config(made, bootstrap.address, "worker")
        assert status == 500
        assert "refusing to serve bootstrap configuration to pool worker" in body
