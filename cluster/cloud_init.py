"""The services host's cloud-init seed: the least that makes it reachable.

Owns its host key, login user, host name and network. Does not own packages or services, which come over SSH. The
cluster side is a bridge named `cluster`, so that the smoke check can put a card of its own beside the host's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from cluster.site import Site

LOGIN_USER = "okd"
KEY_KINDS = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


@dataclass(frozen=True)
class CloudInit:
    """The three files of a NoCloud seed; `user_data` holds the private host key."""

    user_data: str
    meta_data: str
    network_config: str


def seed(site: Site, ssh_public_key: str, host_private_key: str, host_public_key: str) -> CloudInit:
    """The seed for one login key and one host key pair, all in OpenSSH's form.

    Raises:
        ValueError: the host key is of a kind that cloud-init cannot place.
    """
    return CloudInit(
        user_data="#cloud-config\n" + _dump(user_data(site, ssh_public_key, host_private_key, host_public_key)),
        meta_data=_dump(meta_data(site)),
        network_config=_dump(network_config(site)),
    )


def user_data(site: Site, ssh_public_key: str, host_private_key: str, host_public_key: str) -> dict[str, Any]:
    """Cloud-config as a document."""
    kind = _key_kind(host_public_key)
    return {
        "hostname": site.settings.services.name,
        "fqdn": site.services_fqdn,
        "prefer_fqdn_over_hostname": True,
        "ssh_deletekeys": True,
        "ssh_keys": {f"{kind}_private": host_private_key, f"{kind}_public": host_public_key.strip()},
        "disable_root": True,
        "ssh_pwauth": False,
        "users": [
            {
                "name": LOGIN_USER,
                "gecos": "okd-libvirt",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [ssh_public_key.strip()],
            }
        ],
        "package_update": False,
        "package_upgrade": False,
    }


def meta_data(site: Site) -> dict[str, str]:
    """The instance's identity; a rebuilt host starts from a fresh disk and so runs its first boot again."""
    return {"instance-id": site.names.domain(site.settings.services.name), "local-hostname": site.services_fqdn}


def network_config(site: Site) -> dict[str, Any]:
    """Network configuration version 2; only the uplink has a default route."""
    uplink, network, names = site.settings.uplink, site.settings.network, site.names
    # Without the last two, boot waits for an IPv6 router that never announces itself.
    card: dict[str, Any] = {"dhcp4": False, "dhcp6": False, "accept-ra": False, "link-local": []}
    way_out = card | {
        "match": {"macaddress": names.uplink_mac},
        "set-name": "uplink",
        "addresses": [f"{uplink.address}/{uplink.cidr.prefixlen}"],
        "routes": [{"to": "0.0.0.0/0", "via": str(uplink.gateway)}],
    }
    if uplink.resolvers:
        way_out["nameservers"] = {"addresses": [str(resolver) for resolver in uplink.resolvers]}
    return {
        "version": 2,
        "ethernets": {
            "cluster-port": card
            | {"match": {"macaddress": names.cluster_mac}, "set-name": "cluster-port", "mtu": network.mtu},
            "uplink": way_out,
        },
        "bridges": {
            "cluster": card
            | {
                "interfaces": ["cluster-port"],
                # Without a MAC of its own a bridge takes the lowest of its ports', and changes it when a port joins.
                "macaddress": names.cluster_mac,
                "mtu": network.mtu,
                "addresses": [f"{site.services_address}/{network.cidr.prefixlen}"],
                "parameters": {"stp": False, "forward-delay": 0},
            }
        },
    }


def _key_kind(public_key: str) -> str:
    algorithm = public_key.split(" ", 1)[0]
    if algorithm.startswith("ecdsa-sha2-"):
        return "ecdsa"
    if algorithm not in KEY_KINDS:
        raise ValueError(f"host key of kind {algorithm}: cloud-init places ed25519, ecdsa and rsa keys")
    return KEY_KINDS[algorithm]


class _Plain(yaml.SafeDumper):
    """YAML without anchors, which netplan need not know."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=1_000_000)
