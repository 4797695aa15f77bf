"""When a set is made again and when never: the real installer, real certificates, and a clock that is moved."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ignition import world
from tests.ignition.world import INSTALL, NAMES, PUBLISHED, Site, document, in_bootstrap
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]

AGED = "it is 13.0 h old, and made again after 12 h"


def seconds(moment: str) -> float:
    return time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a run printed, as if the tests before it had taken no time."""
    return re.sub(r"it is 13\.\d h old", "it is 13.0 h old", done.stdout)


def certificates(site: Site) -> tuple[str, str]:
    """The authority of the machine-config server as bootstrap.ign and as worker.ign have it."""
    configs = site.kept().configs
    worker = json.loads(configs["worker.ign"])["ignition"]["security"]["tls"]["certificateAuthorities"][0]["source"]
    return in_bootstrap(configs["bootstrap.ign"])["/opt/openshift/tls/root-ca.crt"], worker


def test_thirteen_hours_later_with_no_cluster_the_set_is_made_again_as_one(aged: Site) -> None:
    old, old_certificates = aged.kept(), certificates(aged)
    assert abs(time.time() - 13 * 3600 - seconds(aged.first["made"])) < 3600
    done = aged.run("ignition")
    assert AGED in said(done)
    found = world.result(done)
    assert found["reused"] is False
    assert abs(seconds(found["made"]) - time.time()) < PATIENCE_SECONDS
    assert abs(seconds(found["expiry"]) - time.time() - 24 * 3600) < PATIENCE_SECONDS
    new = aged.kept()
    assert aged.published() == new.configs
    assert all(new.configs[name] != old.configs[name] for name in NAMES)
    assert (new.password != old.password, new.kubeconfig != old.kubeconfig) == (True, True)
    bootstrap, worker = certificates(aged)
    assert (bootstrap != old_certificates[0], worker != old_certificates[1]) == (True, True)
    authority = next(line.split()[-1] for line in new.kubeconfig.splitlines() if "certificate-authority-data" in line)
    served = in_bootstrap(new.configs["bootstrap.ign"])["/opt/openshift/tls/kube-apiserver-lb-server.crt"]
    aged.host.write("/srv/served.crt", served)
    aged.host.sh(f"echo {authority} | base64 -d > /srv/authority.crt")
    checked = aged.host.run("openssl", "verify", "-CAfile", "/srv/authority.crt", "/srv/served.crt")
    assert checked == "/srv/served.crt: OK\n"


def test_the_age_is_that_of_the_certificates_not_of_the_files(settled: Site, aged: Site) -> None:
    aged.host.sh(f"find {INSTALL} {PUBLISHED} -exec touch {{}} +")
    assert AGED in said(aged.run("ignition"))
    aged.host.sh(f"find {INSTALL} {PUBLISHED} -exec touch -d '2 days ago' {{}} +")
    assert aged.ignition()["reused"] is True


def test_the_verb_itself_may_run_thirteen_hours_later(settled: Site) -> None:
    before = settled.kept()
    assert settled.ignition(hours=11)["reused"] is True
    later = settled.ignition(hours=13)
    assert later["reused"] is False
    assert abs(seconds(later["made"]) - time.time() - 13 * 3600) < PATIENCE_SECONDS
    assert settled.kept().password != before.password


@pytest.mark.parametrize("mode", ["up", "anonymous"])
def test_with_its_cluster_up_a_set_is_never_made_again(aged: Site, mode: str) -> None:
    before, other = aged.kept(), document()
    other["manifests"] = {}
    aged.serve_api(mode)
    done = aged.run("ignition", other)
    assert f"never made again: the cluster is up (although {AGED}, manifests changed)" in said(done)
    kept = {**aged.first, "reused": True, "installed": True}
    assert world.result(done) == kept
    assert aged.kept() == before
    assert aged.published() == before.configs
    aged.stop_api()
    # It was seen once: that is remembered.
    done = aged.run("ignition", other)
    assert "never made again: the cluster was up, though it does not answer now (although" in done.stdout
    assert f"remove {INSTALL}/installed on the services host" in done.stdout
    assert world.result(done) == kept
    assert aged.kept() == before
    aged.host.sh(f"rm {INSTALL}/installed")
    assert aged.ignition(other)["reused"] is False


def test_on_the_data_volume_of_a_destroyed_stack_a_new_cluster_gets_a_set_of_its_own(settled: Site) -> None:
    first, second = document() | {"cluster": "first"}, document() | {"cluster": "second"}
    settled.host.sh(f"rm -r {INSTALL}")
    assert settled.ignition(first)["reused"] is False
    settled.host.sh(f"touch {INSTALL}/installed; echo seen > {INSTALL}/installed")
    assert settled.ignition(first)["reused"] is True
    old = settled.kept()
    done = settled.run("ignition", second)
    assert "the set on this data volume is that of a cluster whose stack was destroyed" in done.stdout
    found = world.result(done)
    assert (found["reused"], found["installed"]) == (False, False)
    assert settled.kept().password != old.password
    assert settled.ignition(second)["reused"] is True


def test_a_cluster_that_is_only_starting_keeps_its_set_but_is_not_installed(aged: Site) -> None:
    before = aged.kept()
    aged.serve_api("starting")
    done = aged.run("ignition")
    assert f"never made again: the cluster is starting (although {AGED})" in said(done)
    assert world.result(done) == {**aged.first, "reused": True, "installed": False}
    assert aged.kept() == before
    aged.stop_api()
    assert aged.ignition()["reused"] is False


def test_a_cluster_of_another_set_is_not_taken_for_ours_and_its_credentials_are_not_replaced(aged: Site) -> None:
    before = aged.kept()
    aged.host.sh(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=other -keyout /srv/api.key -out /srv/api.crt "
        "-addext subjectAltName=DNS:api.okd.lab.example 2>/dev/null"
    )
    aged.listen("up")
    done = aged.run("ignition")
    assert done.returncode == 1
    assert "a cluster answers at the API's address whose ignition configs are not on this host" in done.stderr
    assert "switch that cluster's machines off" in done.stderr
    assert aged.kept() == before
    aged.host.sh(f"rm -r {INSTALL} {PUBLISHED}")
    assert aged.run("ignition").returncode == 1
    assert aged.host.run("ls", "-A", "/var/www/okd", "/var/lib/okd-registry/okd-libvirt") == (
        "/var/lib/okd-registry/okd-libvirt:\n\n/var/www/okd:\n"
    )


def test_a_bootstrap_whose_certificates_expired_does_not_keep_its_set(aged: Site) -> None:
    aged.serve_api("up")
    done = aged.run("ignition", hours=12)
    assert f"it expired at {aged.first['expiry']}" in done.stdout
    assert world.result(done)["reused"] is False


def test_a_set_from_the_future_is_made_again(settled: Site) -> None:
    done = settled.run("ignition", hours=-2)
    assert f"it is good from {settled.first['made']} only: the clock went back since" in done.stdout
    assert world.result(done)["reused"] is False


def test_a_damaged_set_of_an_installed_cluster_is_not_made_again(aged: Site) -> None:
    aged.host.sh(f"date > {INSTALL}/installed; truncate -s 1000 {INSTALL}/bootstrap.ign")
    published = aged.published()
    done = aged.run("ignition")
    assert done.returncode == 1
    assert (
        "the set of an installed cluster is damaged: ValueError: bootstrap.ign changed since it was made" in done.stderr
    )
    assert f"remedy:     bring {INSTALL} back from a copy; if that cluster is gone for good" in done.stderr
    assert aged.published() == published


def test_status_names_the_set_that_there_should_be(aged: Site) -> None:
    kept, after = aged.first, f"after-{aged.first['expiry']}"
    tree = aged.tree(INSTALL, PUBLISHED)
    moments = {name: kept[name] for name in ("made", "expiry")}
    fresh = {"generation": "first", **moments, "installed": False, "stale": False}
    assert aged.status(hours=-2) == fresh
    assert aged.status() == {**fresh, "generation": after, "stale": True}
    aged.serve_api()
    assert aged.status() == {**fresh, "installed": True}
    aged.stop_api()
    aged.serve_api("starting")
    assert aged.status() == fresh
    aged.stop_api()
    # It only looks: what it saw is not remembered.
    assert aged.status() == {**fresh, "generation": after, "stale": True}
    assert aged.tree(INSTALL, PUBLISHED) == tree


def test_the_name_of_a_set_stays_once_it_was_made(aged: Site) -> None:
    asked = document()
    asked["generation"] = aged.status()["generation"]
    made = aged.ignition(asked)
    assert (made["generation"], made["reused"]) == (f"after-{aged.first['expiry']}", False)
    assert aged.status()["generation"] == made["generation"]
    assert aged.ignition(asked) == {**made, "reused": True}
    # A program that could not ask, since the host was switched off, changes nothing.
    assert aged.ignition(document()) == {**made, "reused": True}


def test_status_without_a_set_asks_for_the_first(site: Site) -> None:
    assert site.status() == {"generation": "first", "made": None, "expiry": None, "installed": False, "stale": False}


def killed(site: Site, snippet: str, given: Any = None) -> str:
    argv = site.argv("ignition", snippet=snippet)
    text = json.dumps(given or document())
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    # nsenter ends as its child did.
    assert done.returncode in (-9, 137), done.stdout + done.stderr
    return done.stdout


KILL = """
import os, signal
from okd_host.ignition import installer, publish, verb
calls = []
def kill(module, name, number, after=False):
    real = getattr(module, name)
    def call(*given, **more):
        calls.append(name)
        late = after and calls.count(name) == number and real(*given, **more)
        if calls.count(name) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **more)
    setattr(module, name, call)
"""
POINTS = {
    "before anything was made": "kill(installer, 'create', 1)",
    "with the manifests made": "kill(installer, 'create', 2)",
    "with the configs made": "kill(installer, 'create', 2, after=True)",
    "before the set is in its place": "kill(verb, 'swap', 1)",
    "with the set in its place": "kill(verb, 'swap', 1, after=True)",
    "before the configs are published": "kill(publish, 'swap', 1)",
    "with the configs published": "kill(publish, 'swap', 1, after=True)",
    "in the middle of staging": "kill(publish.files, 'publish', 5)",
}


@pytest.mark.parametrize(
    ("point", "first"),
    [
        *((point, False) for point in POINTS),
        ("with the configs made", True),
        ("with the set in its place", True),
        ("before the configs are published", True),
    ],
)
def test_a_run_killed(site: Site, old_set: Any, point: str, first: bool) -> None:
    """The published set is whole at any time, and the next run completes."""
    if not first:
        subprocess.run(site.host.argv(["tar", "-x", "-p", "-C", "/"]), input=old_set.archive, check=True)
    old = None if first else site.published()
    killed(site, KILL + POINTS[point])
    if site.host.sh(f"test -e {PUBLISHED} && echo there", check=False):
        assert site.published() in (old, site.kept().configs)
        assert sorted(site.host.run("ls", "-A", PUBLISHED).split()) == sorted(NAMES)
    else:
        assert first
    again = site.ignition()
    kept = site.kept()
    assert site.published() == kept.configs != old
    assert again["installed"] is False
    assert site.host.run("ls", "-A", "/var/www/okd") == "ignition\n"
    assert "install.new" not in site.host.run("ls", "-A", "/var/lib/okd-registry/okd-libvirt")
    assert site.ignition() == {**again, "reused": True}


def test_a_killed_run_leaves_nothing_that_others_can_read(site: Site) -> None:
    killed(site, KILL + POINTS["with the configs made"])
    left = site.tree("/var/lib/okd-registry/okd-libvirt")
    assert left["/var/lib/okd-registry/okd-libvirt"] == "700 0:0"
    inner = {
        path: mode for path, mode in left.items() if path.startswith("/var/lib/okd-registry/okd-libvirt/install.new/")
    }
    assert len(inner) > 5
    assert [path for path, mode in inner.items() if int(mode.split()[0], 8) & 0o077] == []
    killed(site, KILL + POINTS["before the configs are published"])
    outer = Path("/var/www/okd/.ignition.okd-new")
    assert site.tree(str(outer))[str(outer)] == "700 0:0"
