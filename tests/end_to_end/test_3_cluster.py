"""The cluster end to end in the lab, with the real oc and openshift-install: its machines, their failures, day two.

The nodes are miniature; oc, the installer's waits, the load balancer and the program are not. The tests build on each
other in the order of the file.
"""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml

from tests.end_to_end.clone import Clone, Finished
from tests.end_to_end.nodes import boots, boots_or_none, identities, items, ready, until
from tests.end_to_end.scaling import Scaling, scale
from tests.end_to_end.untouched import nothing_changes

NODES = ["compute-0", "compute-1", "control-plane-0", "control-plane-1", "control-plane-2"]
DOMAIN = "okd.lab.example"


def test_all_five_nodes_are_ready_through_the_load_balancer(clone: Clone) -> None:
    shown = clone.oc("get", "nodes").ok().text
    rows = {line.split()[0]: line.split()[1:3] for line in shown.splitlines() if DOMAIN in line}
    assert {name: row[0] for name, row in rows.items()} == {f"{name}.{DOMAIN}": "Ready" for name in NODES}
    assert all("worker" in rows[f"compute-{number}.{DOMAIN}"][1] for number in range(2))
    assert all("control-plane" in rows[f"control-plane-{number}.{DOMAIN}"][1] for number in range(3))


def test_the_bootstrap_left_once_every_machine_had_answered_and_its_etcd_member_was_removed(up: Finished) -> None:
    whole = "API 3 of 3; machine config 3 of 3; the bootstrap's etcd member is removed"
    assert f"control plane: {whole}" in up.text
    assert up.text.index(whole) < up.text.index("load balancer: bootstrap is out")


def test_a_compute_machines_request_that_comes_after_ready_was_approved(up: Finished) -> None:
    for name in ("compute-0", "compute-1"):
        told = [line for line in up.text.splitlines() if f"{name}-join" in line]
        late = [number for number, line in enumerate(told) if "stage 6/6 serving" in line]
        there = [number for number, line in enumerate(told) if "stage 4/6 ready" in line]
        assert late
        assert there
        assert there[0] < late[-1]


def test_cluster_version_and_operators_are_available_and_nothing_waits_for_approval(clone: Clone) -> None:
    version = json.loads(clone.oc("get", "clusterversion", "version", "-o", "json").ok().text)
    conditions = {one["type"]: one["status"] for one in version["status"]["conditions"]}
    assert conditions["Available"] == "True"
    assert version["status"]["desired"]["version"] == clone.output("release")["version"]
    operators = items(clone.oc("get", "clusteroperators", "-o", "json").ok().text)
    assert len(operators) >= 5
    for operator in operators:
        assert {one["type"]: one["status"] for one in operator["status"]["conditions"]}["Available"] == "True"
    assert "Pending" not in clone.oc("get", "csr").ok().text
    hub = json.loads(clone.oc("get", "operatorhub", "cluster", "-o", "json").ok().text)
    assert hub["spec"]["disableAllDefaultSources"] is True


def test_the_real_installer_agrees_that_the_installation_is_complete(clone: Clone) -> None:
    where = "/var/lib/okd-registry/okd-libvirt/install"
    copy = f"sudo rm -rf /root/agrees; sudo cp -a {where} /root/agrees; "
    for wait in ("bootstrap-complete", "install-complete"):
        done = clone.on_services(f"{copy} sudo openshift-install wait-for {wait} --dir /root/agrees 2>&1").ok()
        # The installer's last words are the kubeadmin password: it is asked by this test alone, and nothing of ours leaks it.
        del clone.transcript[-2:]
        assert "rror" not in done.text.replace("no errors", ""), done.text
    clone.on_services("sudo rm -rf /root/agrees").ok()


def test_the_bootstrap_machine_is_gone_from_libvirt_and_from_the_load_balancer(clone: Clone) -> None:
    assert "bootstrap" not in identities(clone)
    volumes = clone.inside("virsh", "vol-list", "okd-dev").ok().text
    assert "bootstrap" not in volumes
    show = "echo show servers state | sudo socat - /run/haproxy/admin.sock || sudo python3 -c \"import socket; s=socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); s.sendall(b'show servers state\\n'); print(s.recv(65536).decode())\""
    servers = clone.on_services(f"{show}; sudo cat /etc/haproxy/haproxy.cfg").ok().text
    assert "control-plane-0" in servers
    assert not re.search(r"\bbootstrap\b", servers)


def test_the_ingress_serves_the_stacks_own_certificate(clone: Clone) -> None:
    console = clone.output("consoleUrl").removeprefix("https://")
    asked = f"curl -sS --cacert /usr/local/share/ca-certificates/okd-libvirt.crt -D - https://{console}/"
    answer = clone.on_services(asked).ok().text
    assert "X-Miniature-Router: compute-" in answer
    assert f"miniature ingress of {console}" in answer


def test_outputs_tell_what_stands(clone: Clone) -> None:
    installed = clone.output("installation")
    assert installed["installed"] is True
    assert installed["version"] == clone.output("release")["version"]
    assert sorted(row["name"] for row in installed["machines"]) == NODES
    assert clone.output("bootstrap") == {"state": "complete", "machine": False}
    assert clone.output("consoleUrl") == f"https://console-openshift-console.apps.{DOMAIN}"


def test_status_shows_services_mirror_and_every_machine(clone: Clone) -> None:
    shown = clone.stack("status").ok().text
    for name in ("services", *NODES, "load-balancer", "mirror"):
        assert name in shown, shown
    for name in NODES:
        assert re.search(rf"{name}\b.*Ready", shown), shown


def test_the_load_balancers_statistics_are_reached_as_documented(clone: Clone) -> None:
    services = clone.output("servicesAddress")
    page = clone.on_services(f"curl -s http://{services}:9000/").ok().text
    assert "Statistics Report" in page
    assert "control-plane-2" in page


@pytest.fixture(scope="module")
def scaling(clone: Clone) -> Scaling:
    return scale(clone, DOMAIN)


def test_declared_machines_join_and_foreign_requests_are_left_alone(clone: Clone, scaling: Scaling) -> None:
    assert scaling.between.ready == {*NODES, "compute-2", "compute-3"}
    assert "foreign-" in scaling.grown.text, "what was left alone is reported"
    foreign = [
        row
        for row in items(clone.oc("get", "csr", "-o", "json").ok().text)
        if row["metadata"]["name"].startswith("foreign-")
    ]
    assert foreign
    for row in foreign:
        assert not row["status"].get("conditions"), f"{row['metadata']['name']} was answered"
        assert not row["status"].get("certificate")


def test_machines_come_and_go_and_no_connection_to_one_that_stays_drops(scaling: Scaling) -> None:
    for look in (scaling.before, scaling.between, scaling.after):
        assert look.flowing
        assert all(look.flowing.values())


def test_a_removed_machine_is_drained_and_gone_and_no_other_is_touched(clone: Clone, scaling: Scaling) -> None:
    assert "compute-2 is drained and leaves the cluster" in scaling.preview.text
    assert scaling.after.ready == {*NODES, "compute-3"}
    assert "compute-2" not in scaling.after.domains
    assert "compute-2" not in clone.inside("virsh", "vol-list", "okd-dev").ok().text
    for look in (scaling.between, scaling.after):
        assert {name: look.domains[name] for name in scaling.before.domains} == scaling.before.domains
        assert {name: look.boots[name] for name in scaling.before.boots} == scaling.before.boots


def test_a_resized_machine_is_drained_rebuilt_and_ready_again(clone: Clone, scaling: Scaling) -> None:
    assert scaling.after.domains["compute-3"] != scaling.between.domains["compute-3"]
    assert scaling.after.boots["compute-3"] != scaling.between.boots["compute-3"]
    memory = clone.inside("virsh", "dominfo", "okd-dev-compute-3").ok().text
    assert f"{576 * 1024} KiB" in memory
    clone.pulumi("preview", "--expect-no-changes").ok()
    clone.change_settings(lambda config: config["okd-libvirt:machines"].pop("compute-3"))
    clone.pulumi("up", "--yes", "--skip-preview").ok()
    assert ready(clone) == set(NODES)


def test_what_an_installed_cluster_would_not_survive_is_refused_in_the_preview(clone: Clone) -> None:
    before = clone.change_settings(lambda config: config["okd-libvirt:machines"].pop("control-plane-1"))
    clone.change_settings(lambda config: config["okd-libvirt:machines"].pop("control-plane-2"))
    refused = clone.pulumi("preview")
    clone.settings_file.write_text(before)
    assert refused.code != 0
    assert "machines.control-plane-2" in refused.text
    assert "etcd member" in refused.text


def test_with_a_control_plane_machine_powered_off_the_api_answers_with_no_hand_on_it(clone: Clone) -> None:
    clone.inside("virsh", "destroy", "okd-dev-control-plane-1").ok()
    # What was sent to the machine that is gone hangs, and is asked again.
    took = until(lambda: clone.oc("get", "--raw", "/readyz", "--request-timeout=30s").code == 0, "an answer of the API")
    print(f"the API answered {took:.1f} s after the power was cut")
    for number in range(20):
        asked = clone.oc("get", "nodes", "-o", "name", "--request-timeout=120s")
        assert asked.code == 0, f"request {number} failed: {asked.text}"
    until(lambda: ready(clone) == set(NODES) - {"control-plane-1"}, "NotReady")
    clone.inside("virsh", "start", "okd-dev-control-plane-1").ok()
    took = until(lambda: ready(clone) == set(NODES), "Ready")
    print(f"control-plane-1 was Ready {took:.0f} s after it was started")


@pytest.mark.extended
def test_all_machines_powered_off_hard_and_started_are_ready_again_with_no_hand_on_it(clone: Clone) -> None:
    before = boots(clone)
    for name in identities(clone):
        clone.inside("virsh", "destroy", f"okd-dev-{name}").ok()
    for name in identities(clone):
        clone.inside("virsh", "start", f"okd-dev-{name}").ok()

    def back() -> bool:
        """Every node is Ready, in another boot: out of etcd each reads Ready for a while whatever its machine does."""
        now = boots_or_none(clone)
        return set(now) == set(before) and not set(now.items()) & set(before.items()) and ready(clone) == set(NODES)

    took = until(back, "Ready")
    print(f"all nodes Ready {took:.0f} s after the power came back")
    active = "systemctl is-active named kea-dhcp4-server nginx haproxy docker-registry chrony tftpd-hpa firewalld"
    clone.on_services(active).ok()
    assert "Pending" not in "".join(
        line for line in clone.oc("get", "csr").ok().text.splitlines() if "foreign" not in line
    )
    clone.pulumi("preview", "--expect-no-changes").ok()


def test_the_whole_cluster_stops_and_starts_in_good_order(clone: Clone) -> None:
    stopped = clone.stack("stop").ok().text
    assert "certificate" in stopped, "how long certificates stay good decides how long it may be off"
    states = clone.inside("virsh", "list", "--all").ok().text
    assert "running" not in states
    with nothing_changes(clone, guests_run=False):
        clone.pulumi("preview", "--expect-no-changes").ok()
    clone.stack("start").ok()
    assert ready(clone) == set(NODES)
    clone.pulumi("preview", "--expect-no-changes").ok()


@pytest.fixture(autouse=True, scope="module")
def _hosts(clone: Clone) -> None:
    """The real oc, and the names that the services host's name server would give an operator."""
    assert shutil.which("unshare")
    assert yaml.safe_load(clone.output("kubeconfig"))["clusters"][0]["cluster"]["server"].startswith("https://api.")
