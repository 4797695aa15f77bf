"""The release end to end in the lab: mirrored, verified, its tools, boot image and ignition configs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from lab import release
from tests.end_to_end.clone import Clone
from tests.end_to_end.cluster_side import Peer
from tests.patience import PATIENCE_SECONDS

SET = ("bootstrap.ign", "master.ign", "worker.ign")
UPSTREAM = "198.51.100.1"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_the_mirrored_release_is_the_upstreams_by_digest(clone: Clone) -> None:
    shown, upstream = clone.output("release"), release.build()
    assert shown["version"] == upstream.version
    assert shown["digest"] == upstream.digest
    assert shown["verified"] is True
    sums = (clone.root / ".lab/images/boot/SHA256SUMS").read_text().split()
    assert set(shown["bootImage"].values()) >= set(sums[::2])


def test_the_tools_on_the_services_host_are_the_releases_own(clone: Clone) -> None:
    upstream = release.build()
    shown = clone.on_services("sudo openshift-install version; sudo oc version --client").ok().text
    assert upstream.version in shown
    assert upstream.digest in shown


def test_ignition_configs_reach_the_cluster_network_only_and_the_official_validator_accepts_them(clone: Clone) -> None:
    address = clone.output("servicesAddress")
    fetch = (
        "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=600).read().decode())"
    )
    with Peer(clone) as machine:
        for name in SET:
            process = machine.start(fetch, f"http://{address}:8080/ignition/{name}")
            text = process.communicate(timeout=PATIENCE_SECONDS)[0]
            assert json.loads(text)["ignition"]["version"].startswith("3."), text[:200]
            (clone.root / ".lab" / name).write_text(text)
    files = [str(clone.root / ".lab" / name) for name in SET]
    clone.run(str(release.ignition_validator()), *files).ok()
    for name in files:
        Path(name).unlink()
    outside = (
        f"curl -s -o /dev/null -w '%{{http_code}}' --interface {clone.uplink} http://{address}:8080/ignition/worker.ign"
    )
    assert "200" not in clone.on_services(outside).text
    listing = "sudo sh -c 'stat -c \"%U %G %a\" /var/www/okd/ignition/*.ign'"
    modes = clone.on_services(listing).ok().text.splitlines()
    assert len(modes) == len(SET)
    assert set(modes) == {"root www-data 640"}


def test_kubeconfig_and_kubeadmin_password_are_secret_outputs(clone: Clone) -> None:
    shown = json.loads(clone.stack("output", apart=True).ok().text)
    assert shown["kubeconfig"] == shown["kubeadminPassword"] == shown["adminPassword"] == "[secret]"
    assert set(yaml.safe_load(clone.output("kubeconfig"))) >= {"clusters", "contexts", "current-context", "users"}
    assert len(clone.output("kubeadminPassword")) == len("xxxxx-xxxxx-xxxxx-xxxxx")
    left = moment(clone.output("ignitionExpiry")) - datetime.now(UTC)
    assert timedelta(hours=12) < left <= timedelta(hours=24)


def test_from_the_cluster_network_nothing_outside_can_be_reached(clone: Clone) -> None:
    probe = (
        "import socket, subprocess, sys\n"
        "subprocess.run(['ip', 'route', 'add', 'default', 'via', sys.argv[1]], check=True)\n"
        "inside = socket.create_connection((sys.argv[1], 8080), 600)\n"
        "print('inside answers')\n"
        "for address, port in ((sys.argv[2], 8081), (sys.argv[2], 5000), (sys.argv[3], 22)):\n"
        "    try:\n"
        "        socket.create_connection((address, port), 8)\n"
        "        print('REACHED', address, port)\n"
        "    except OSError as error:\n"
        "        print('closed', error)\n"
    )
    gateway = clone.on_services("ip route show default").ok().text.split()[2]
    with Peer(clone) as machine:
        text = machine.start(probe, clone.output("servicesAddress"), UPSTREAM, gateway).communicate(
            timeout=PATIENCE_SECONDS
        )[0]
    assert "inside answers" in text
    assert text.count("closed") == 3, text


MIRROR = "**::mirror-release"


def test_with_the_uplink_cut_after_mirroring_the_rest_of_the_update_succeeds(clone: Clone) -> None:
    block = "nft add table inet cut; nft add chain inet cut input '{ type filter hook input priority -10; }'; "
    block += f"nft add rule inet cut input ip daddr {UPSTREAM} drop"
    clone.inside("sh", "-ec", block).ok()
    try:
        assert clone.on_services(f"curl -s --max-time 5 http://{UPSTREAM}:8081/").code != 0
        before = clone.change_settings(
            lambda config: config.update({"okd-libvirt:install": {"samplesOperator": "default"}})
        )
        clone.pulumi("up", "--yes", "--skip-preview", "--replace", MIRROR).ok()
        clone.settings_file.write_text(before)
        clone.pulumi("up", "--yes", "--skip-preview").ok()
    finally:
        clone.inside("nft", "delete", "table", "inet", "cut").ok()
