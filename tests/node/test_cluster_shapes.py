"""Clusters of other shapes, and what a bootstrap goes through."""

from __future__ import annotations

import json
import ssl
import time
from pathlib import Path

import pytest
import yaml

from cluster import manifests, secret_manifests
from tests.cluster.conftest import planned
from tests.node import registry
from tests.node.asking import all_ready, answers_tls, ingress, machine_config, open_ports
from tests.node.processes import DOMAIN, cluster

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def test_three_machines_alone_take_workloads_and_ingress(tmp_path: Path) -> None:
    with cluster(tmp_path / "compact", compute=0) as made:
        made.install()
        assert all_ready(made)
        made.until("the ingress answers", lambda: ingress(made.balancer))
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
        made.until("HTTPS answers", lambda: answers_tls(context, address))


def test_one_machine_alone_is_a_cluster_whatever_power_cuts_the_bootstrap_sees(tmp_path: Path) -> None:
    with cluster(tmp_path / "single", control_plane=1, compute=0) as made:
        before = made.machines["bootstrap"]
        made.start_services()
        for name in made.machines:
            made.start(name)
        cuts = ["Starting etcd", "Waiting for 1 control-plane", "is a member of the store", "bootkube.service complete"]
        for words in cuts:
            made.until(words, lambda words=words: words in before.log(), approving=True)
            made.power_off(before.name)
            made.start(before.name)
        made.until("bootstrap complete", made.bootstrap_complete, approving=True)
        made.until("version available", made.available, approving=True)
        assert all_ready(made)
        made.power_off()
        for name in made.machines:
            made.start(name)
        made.until("it is back", lambda: all_ready(made) and ingress(made.balancer))


def test_a_bootstrap_that_goes_before_its_member_is_removed_takes_the_majority_of_a_single_machine(
    tmp_path: Path,
) -> None:
    with cluster(tmp_path / "early", control_plane=1, compute=0, late="member=20") as made:
        write = ["annotate", "nodes", "--all", "--overwrite", "--request-timeout=20s", "lab/written=yes"]
        made.begin()
        made.until("bootstrap complete", made.bootstrap_complete, approving=True)
        assert not made.member_removed()
        made.power_off("bootstrap")
        made.until("nothing can be written", lambda: "annotated" not in made.oc(*write, check=False))
        # Longer than the member would have stayed: nobody is left who could remove it.
        time.sleep(30)
        assert "annotated" not in made.oc(*write, check=False)
        made.start("bootstrap")
        made.until("it is removed, now that both are there", made.member_removed)
        made.power_off("bootstrap")
        made.until("the machine does without it", lambda: "annotated" in made.oc(*write, check=False))


def test_a_bootstrap_without_its_registry_says_so_and_goes_on_when_it_answers(tmp_path: Path) -> None:
    with cluster(tmp_path / "late", control_plane=1, compute=0) as made:
        made.start("bootstrap")
        bootstrap = made.machines["bootstrap"]
        made.until("it says so", lambda: "release-image: Pull failed. Retrying" in bootstrap.log())
        assert open_ports(bootstrap.address) == []
        made.start_services()
        made.until("it goes on", lambda: "Waiting for 1 control-plane" in bootstrap.log())
        assert machine_config(made, bootstrap.address, "master")[0] == 200
        status, body = machine_config(made, bootstrap.address, "worker")
        assert status == 500
        assert "refusing to serve bootstrap configuration to pool worker" in body
