"""The services host's seed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cluster.cloud_init import CloudInit
from cluster.host_os import CLOUD_INIT_OFF, CLOUD_INIT_OFF_TEXT
from cluster.plan import Plan

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\ndef\n-----END OPENSSH PRIVATE KEY-----\n"


def seed(plan: Plan, kind: str = "ssh-ed25519") -> CloudInit:
    return plan.cloud_init("ssh-ed25519 LOGIN okd\n", PRIVATE, f"{kind} HOST\n")


def user(plan: Plan) -> dict[str, Any]:
    text = seed(plan).user_data
    assert text.startswith("#cloud-config\n")
    return dict(yaml.safe_load(text))


def test_the_login_is_by_key_alone(dev: Plan) -> None:
    document = user(dev)
    (login,) = document["users"]
    assert login["name"] == "okd"
    assert login["ssh_authorized_keys"] == ["ssh-ed25519 LOGIN okd"]
    assert login["lock_passwd"] is True
    assert document["ssh_pwauth"] is False
    assert document["disable_root"] is True


def test_the_host_key_is_ours_and_no_other_is_made(dev: Plan) -> None:
    document = user(dev)
    assert document["ssh_keys"] == {"ed25519_private": PRIVATE, "ed25519_public": "ssh-ed25519 HOST"}
    assert document["ssh_deletekeys"] is True


@pytest.mark.parametrize(("kind", "name"), [("ssh-rsa", "rsa"), ("ecdsa-sha2-nistp256", "ecdsa")])
def test_other_kinds_of_host_key(dev: Plan, kind: str, name: str) -> None:
    assert f"{name}_private" in yaml.safe_load(seed(dev, kind).user_data)["ssh_keys"]


def test_a_host_key_that_cannot_be_placed_is_refused(dev: Plan) -> None:
    with pytest.raises(ValueError, match="ssh-dss"):
        seed(dev, "ssh-dss")


def test_the_private_key_is_in_user_data_alone(dev: Plan) -> None:
    files = seed(dev)
    assert "BEGIN" not in files.meta_data + files.network_config


def test_cards_are_known_by_mac_and_the_cluster_side_is_a_bridge(dev: Plan) -> None:
    network = yaml.safe_load(seed(dev).network_config)
    cards, bridge = network["ethernets"], network["bridges"]["cluster"]
    assert cards["uplink"]["match"]["macaddress"] == dev.names.uplink_mac
    assert cards["cluster-port"]["match"]["macaddress"] == bridge["macaddress"] == dev.names.cluster_mac
    assert bridge["interfaces"] == ["cluster-port"]
    assert bridge["addresses"] == ["192.168.200.254/24"]
    assert bridge["parameters"] == {"stp": False, "forward-delay": 0}


def test_only_the_uplink_leads_out(dev: Plan, hard_way: Plan) -> None:
    for plan in (dev, hard_way):
        network = yaml.safe_load(seed(plan).network_config)
        assert "routes" not in network["bridges"]["cluster"]
        assert network["ethernets"]["uplink"]["routes"] == [
            {"to": "0.0.0.0/0", "via": str(plan.settings.uplink.gateway)}
        ]
    assert "nameservers" not in yaml.safe_load(seed(dev).network_config)["ethernets"]["uplink"]
    assert network["ethernets"]["uplink"]["nameservers"] == {"addresses": ["10.20.0.2", "10.20.0.3"]}


def test_the_network_file_has_no_anchors(dev: Plan) -> None:
    assert "&" not in seed(dev).network_config


def test_no_card_waits_for_an_ipv6_router(dev: Plan) -> None:
    network = yaml.safe_load(seed(dev).network_config)
    for card in [*network["ethernets"].values(), *network["bridges"].values()]:
        assert card["accept-ra"] is False
        assert card["link-local"] == []


def test_names_are_full_names(dev: Plan) -> None:
    assert user(dev)["fqdn"] == "services.okd.lab.example"
    assert yaml.safe_load(seed(dev).meta_data)["instance-id"] == "okd-dev-services"


def test_the_firewall_keeps_cloud_init_out_of_later_boots_of_hosts_that_stand(dev: Plan) -> None:
    files = {file.path: file.text for bundle in dev.bundles for file in bundle.files if bundle.service == "firewall"}
    assert files[CLOUD_INIT_OFF] == CLOUD_INIT_OFF_TEXT
