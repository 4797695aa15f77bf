"""What ends with a message: each names what is wrong and the remedy, and leaves what was published as it was."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import pytest

from tests.ignition import world
from tests.ignition.world import INSTALL, PUBLISHED, Site, document

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def refused(site: Site, given: Any, snippet: str = "", hours: float = 0) -> str:
    """The message of a run that must fail and change nothing."""
    had = site.host.run("ls", "-A", "/var/www/okd", check=False)
    before = site.tree("/var/www/okd", INSTALL) if "ignition" in had else {}
    done = site.run("ignition", given, snippet=snippet, hours=hours)
    assert done.returncode == 1
    assert "  in service: " in done.stderr
    assert "  remedy:     " in done.stderr
    left = site.host.run("ls", "-A", "/var/lib/okd-registry/okd-libvirt", "/var/www/okd", check=False)
    assert "new" not in left
    if before:
        assert site.tree("/var/www/okd", INSTALL) == before
    else:
        assert "ignition" not in left
    return done.stderr


def test_a_bad_install_config_shows_the_installers_own_message(site: Site) -> None:
    bad = document()
    bad["installConfig"]["networking"]["machineNetwork"] = [{"cidr": "10.128.0.0/16"}]
    message = refused(site, bad)
    assert "stage 4/8 manifests failed: openshift-install create manifests failed" in message
    assert "machine network" in message
    assert "correct the settings that the message names" in message


def test_the_installers_message_about_a_pull_secret_does_not_show_it(site: Site) -> None:
    text = json.dumps(
        {
            "auths": {
                "services.okd.lab.example:5000": {"auth": world.AUTH},
                "other.example": {"email": "somebody@example.com"},
            }
        }
    )
    site.host.agent("secrets", "release", document={"local-pull-secret": text})
    bad = document()
    bad["pullSecret"] = {"secret": "local-pull-secret", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    done = site.run("ignition", bad)
    assert done.returncode == 1
    # The installer quotes it in full.
    assert "pullSecret: Invalid value" in done.stderr
    assert "other.example" in done.stderr
    for hidden in (world.AUTH, world.PASSWORD, "somebody@example.com"):
        assert hidden not in done.stdout + done.stderr


def test_a_secret_that_is_missing_or_another_one_is_named(site: Site) -> None:
    wrong = document()
    wrong["pullSecret"]["sha256"] = "0" * 64
    message = refused(site, wrong)
    assert "secret local-pull-secret is not on this host as expected" in message
    assert "another SHA-256 than expected" in message
    absent = document()
    absent["secretManifests"]["99-x.yaml"] = {"secret": "nowhere", "sha256": "0" * 64}
    message = refused(site, absent)
    assert "secret nowhere is not on this host as expected" in message
    assert "okd-host secrets release" in message


def test_a_manifest_that_collides_with_the_installers_is_refused(settled: Site) -> None:
    bad = document()
    bad["manifests"]["cvo-overrides.yaml"] = world.POOL.replace("infra", "one")
    bad["manifests"]["99_kubeadmin-password-secret.yaml"] = world.POOL.replace("infra", "two")
    bad["manifests"]["99-mine.yaml"] = (
        "apiVersion: config.openshift.io/v1\nkind: Infrastructure\nmetadata:\n  name: cluster\n"
    )
    bad["manifests"]["notes.txt"] = "text"
    message = refused(settled, bad)
    assert "4 of our manifests would collide with the installer's" in message
    assert (
        "99-mine.yaml: Infrastructure.config.openshift.io cluster is also in cluster-infrastructure-02-config.yml"
        in message
    )
    assert "99_kubeadmin-password-secret.yaml: the installer makes a manifest of this name" in message
    assert "cvo-overrides.yaml: the installer makes a manifest of this name" in message
    assert "notes.txt: must be a plain file name that ends in .yaml, .yml or .json" in message
    assert "possible for cluster-dns-02-config.yml" in message


def test_a_manifest_may_replace_the_installers_scheduler_and_stand_beside_its_network(site: Site) -> None:
    given = document()
    scheduler = "apiVersion: config.openshift.io/v1\nkind: Scheduler\nmetadata:\n  name: cluster\nspec:\n  mastersSchedulable: false\n"
    network = "apiVersion: operator.openshift.io/v1\nkind: Network\nmetadata:\n  name: cluster\nspec: {}\n"
    given["manifests"] = {"cluster-scheduler-02-config.yml": scheduler, "cluster-network-03-config.yml": network}
    done = site.run("ignition", given)
    assert "replacing cluster-scheduler-02-config.yml" in done.stdout
    files = world.in_bootstrap(site.kept().configs["bootstrap.ign"])
    assert [path for path in files if "scheduler-02" in path] == [
        "/opt/openshift/manifests/cluster-scheduler-02-config.yml"
    ]
    assert files["/opt/openshift/manifests/cluster-scheduler-02-config.yml"] == scheduler
    assert files["/opt/openshift/openshift/cluster-network-03-config.yml"] == network


def test_an_installer_of_another_release_is_found_out(settled: Site) -> None:
    other = document()
    other["release"] = world.RELEASE.replace("a1", "c3")
    message = refused(settled, other)
    assert "stage 6/8 check failed: what openshift-install made cannot be used" in message
    assert f"bootstrap.ign: does not install {other['release']}" in message
    assert "see that openshift-install is the release's own" in message


def test_an_installer_that_is_not_there_is_named(site: Site) -> None:
    site.host.sh("rm /usr/local/bin/openshift-install")
    message = refused(site, document())
    assert "openshift-install: No such file or directory" in message


def test_without_the_http_servers_group_nothing_is_made(site: Site) -> None:
    bad = document()
    bad["publish"]["group"] = "nobody-has-it"
    message = refused(site, bad)
    assert "there is no group nobody-has-it on this host" in message
    assert "install the HTTP server's package first" in message


def test_a_clock_that_is_not_synchronised_makes_no_certificates(site: Site) -> None:
    site.clock("allow 127.0.0.1\n")
    snippet = "from okd_host import limits; limits.CLOCK = limits.Wait(1, 'a test')"
    message = refused(site, document(), snippet)
    assert (
        "stage 2/8 clock failed: this host's clock is not synchronised after 1 s: no time server has answered"
        in message
    )
    assert "name time servers that it reaches in the settings" in message
    site.host.sh("kill $(cat /run/chronyd.pid)")
    site.host.eventually("! chronyc -n tracking")
    assert "chrony does not answer (506 Cannot talk to daemon)" in refused(site, document(), snippet)


def test_a_clock_that_contradicts_the_trust_bundle_makes_no_certificates(site: Site) -> None:
    site.host.sh(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout /dev/null -out /srv/ca.crt 2>/dev/null"
    )
    given = document()
    given["installConfig"]["additionalTrustBundle"] = site.host.read("/srv/ca.crt")
    for hours in (-24, 24 * 30):
        message = refused(site, given, hours=hours)
        assert "when a certificate of the trust bundle is not valid" in message
        assert "correct the clock of the services host" in message
    assert site.ignition(given)["reused"] is False
    assert site.host.run("ls", "-A", PUBLISHED).split() == list(world.NAMES)


def test_a_certificate_that_expired_among_others_says_nothing_about_the_clock(site: Site) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -keyout /dev/null 2>/dev/null"
    site.host.sh(f"{make} -days 2 > /srv/short.crt; {make} -days 365 > /srv/long.crt")
    given = document()
    given["installConfig"]["additionalTrustBundle"] = site.host.sh("cat /srv/short.crt /srv/long.crt")
    assert site.ignition(given, hours=24 * 30)["reused"] is False


def test_a_time_server_that_answers_is_waited_for_before_the_own_clock_counts(site: Site) -> None:
    site.host.sh("ip address add 127.0.0.2/8 dev lo")
    server = "local stratum 5\nallow\nbindaddress 127.0.0.2\ncmdport 0\npidfile /run/server.pid\nuser root\n"
    site.host.write("/run/server.conf", server)
    site.servers.append(subprocess.Popen(site.host.argv(["/usr/sbin/chronyd", "-x", "-n", "-f", "/run/server.conf"])))
    site.clock("local stratum 10\nserver 127.0.0.2 minpoll 0 maxpoll 0\nacquisitionport 1234\n")
    # From its first answer to the choice of a server takes a while.
    site.host.eventually("chronyc -c -n sources | cut -d, -f6 | grep -v '^0'")
    done = site.run("ignition")
    assert done.returncode == 0
    assert " s off 127.0.0.2 (stratum 6)" in done.stdout


def test_a_document_that_lacks_something_is_refused(site: Site) -> None:
    short = document()
    del short["api"], short["release"]
    done = site.run("ignition", short)
    assert done.returncode == 1
    assert "the document lacks api, release" in done.stderr
