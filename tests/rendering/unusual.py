"""Good stacks that few would build: each as an edit of the fourteen-machine topology."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import yaml

from cluster.plan import Plan
from cluster.settings import Settings
from tests.cluster.mistakes import Config, Edit, both, drop, put
from tests.cluster.test_manifests import OFF
from tests.conftest import ROOT, stack_config

DIGEST = f"sha256:{'a' * 64}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp me@example.com"
LONG = "m" * 20, "c" * 20, f"{'b' * 13}.example"  # with two dots 63 characters


def machines(network: str, **counts: int) -> Edit:
    """An edit to a bootstrap machine and as many as given of each pool, at consecutive addresses from .2 on."""

    def edit(config: Config) -> None:
        base, _, first = network.rpartition(".")
        names = [
            "bootstrap",
            *(f"{pool.replace('_', '-')}-{n}" for pool, count in counts.items() for n in range(count)),
        ]
        config["machines"] = {name: {"address": f"{base}.{int(first) + 2 + n}"} for n, name in enumerate(names)}

    return edit


def each(change: Callable[[str, dict[str, Any]], Any]) -> Edit:
    """An edit of every machine."""

    def edit(config: Config) -> None:
        for name, machine in config["machines"].items():
            change(name, machine)

    return edit


def large(config: Config) -> None:
    """A network of 65536 addresses with machines in several of its /24."""
    config["network"] = {"cidr": "10.77.0.0/16"}
    config["services"]["address"] = "10.77.255.254"
    for number, machine in enumerate(config["machines"].values()):
        machine["address"] = f"10.77.{number * 19}.{255 if number else 1}"


def minimal(config: Config) -> None:
    """The least that a stack says."""
    document = yaml.safe_load((ROOT / "examples" / "Pulumi.minimal.yaml").read_text())["config"]
    config.clear()
    config.update({key.removeprefix("okd-libvirt:"): value for key, value in document.items()})


UNUSUAL: dict[str, Edit] = {
    "least that a stack says": minimal,
    "network of 65536 addresses": large,
    "network of two reverse zones": both(
        put("network.cidr", "192.168.200.0/23"),
        put("services.address", "192.168.201.254"),
        put("machines.infra-0.address", "192.168.201.0"),
        put("machines.infra-1.address", "192.168.200.255"),
    ),
    "network full to the brim": both(
        put("network.cidr", "192.168.200.0/28"),
        put("services.address", "192.168.200.1"),
        machines("192.168.200.0", control_plane=3, compute=8),
    ),
    "single node": both(machines("192.168.200.0", control_plane=1), put("pools.control-plane.cpus", 8)),
    "compact": machines("192.168.200.0", control_plane=3),
    "five for the control plane": machines("192.168.200.0", control_plane=5, compute=2, storage=2),
    "forty machines in pools of their own": both(
        put("pools.gpu", {"cpus": 64, "memoryMiB": 524288, "diskGiB": 500, "extraDisksGiB": [4000, 4000]}),
        put("pools.edge-site", {"memoryMiB": 8192, "cpus": 2, "diskGiB": 100}),
        machines("192.168.200.0", control_plane=5, compute=14, gpu=10, edge_site=10),
    ),
    "names as long as may be": both(
        put("cluster", {"name": LONG[1], "baseDomain": LONG[2]}),
        put("services.name", "s" * 20),
        put("pools.compute-of-the-far-side", {}),
        put(f"machines.{LONG[0]}", {"address": "192.168.200.99", "pool": "compute-of-the-far-side"}),
    ),
    "names of digits": both(
        put("cluster", {"name": "4", "baseDomain": "0.example.com"}),
        put("machines.7", {"address": "192.168.200.99", "pool": "compute"}),
    ),
    "MACs in capitals with hyphens": each(
        lambda name, machine: machine.update(mac=machine["mac"].upper().replace(":", "-"))
    ),
    "jumbo frames": put("network.mtu", 9000),
    "smallest packets": put("network.mtu", 1380),
    "uplink on a bridge": put(
        "uplink",
        {"cidr": "10.20.0.0/22", "address": "10.20.1.40", "gateway": "10.20.3.254", "bridge": "br-lan.20"}
        | {"resolvers": ["10.20.0.2"]},
    ),
    "uplink of four addresses": put(
        "uplink", {"cidr": "192.168.126.0/30", "timeServers": ["10.1.1.1"], "resolvers": ["10.1.1.2"]}
    ),
    "router apart": put("network.router", "192.168.200.1"),
    "proxy by address": put(
        "install.proxy",
        {"http": "http://192.168.200.8:3128", "https": "https://192.168.200.8:3129", "noProxy": ["10.0.0.0/8", ".corp"]},
    ),
    "proxy behind a router of one's own": both(
        put("network.router", "192.168.200.1"), put("install.proxy", {"http": "http://10.20.0.8:3128"})
    ),
    "release from media": both(
        put("release.media", "/media/usb"),
        put("release.client", {"location": "http://192.168.126.1/openshift-client-linux.tar.gz"}),
        drop("uplink.resolvers"),
        drop("uplink.timeServers"),
    ),
    "operator catalogs": put(
        "release",
        {
            "engine": "oc-mirror",
            "operatorCatalogs": [
                {"catalog": "quay.io/operatorhubio/catalog:latest", "packages": ["cert-manager", "rook-ceph"]},
                {"catalog": f"registry.example.com:5000/catalog@{DIGEST}"},
            ],
        },
    ),
    "release on Fedora CoreOS": both(
        put("release", {"version": "4.15.0-0.okd-2024-03-10-010116"}), drop("install.sourcePolicy")
    ),
    "release by digest, with more images": put(
        "release",
        {
            "image": f"registry.example.com/mine/scos-release@{DIGEST}",
            "version": "4.22.0-okd-scos.7",
            "additionalImages": [f"quay.io/x/y@{DIGEST}", f"ghcr.io/a/b/c@{DIGEST}"],
            "attempts": 50,
        },
    ),
    "services host on Fedora": both(
        put("services.operatingSystem", "fedora"),
        put("services.image", {"location": "/srv/images/Fedora-Cloud-Base.qcow2", "sha256": "A" * 64}),
    ),
    "boot image of one's own": both(
        put(
            "bootImage",
            {
                "kernel": {"location": "http://10.1.1.1:8080/scos/live-kernel", "sha256": "9" * 64},
                "initramfs": {"location": "http://10.1.1.1:8080/scos/live-initramfs.img"},
                "rootfs": {"location": "http://10.1.1.1:8080/scos/live-rootfs.img"},
                "kernelArguments": ["console=tty0", "console=ttyS0,115200n8", "mitigations=auto,nosmt"],
            },
        ),
        put("machines.storage-0.kernelArguments", ["intel_iommu=on", "hugepagesz=1G"]),
    ),
    "nothing built in": put("install", OFF),
    "many disks": both(
        put("pools.storage.extraDisksGiB", [100] * 20), put("machines.storage-1", {"address": "192.168.200.51"})
    ),
    "services host by another name, at the lowest address": both(
        put("services.name", "helper-1"),
        put("services.address", "192.168.200.1"),
        put("cluster", {"name": "prod-eu-1", "baseDomain": "clusters.a.b.c.example.org"}),
        put("machines.compute-0.address", "192.168.200.254"),
    ),
    "own networks and every limit": put(
        "install",
        {
            "clusterNetwork": "10.64.0.0/18",
            "hostPrefix": 22,
            "serviceNetwork": "10.65.0.0/24",
            "sshKeys": [KEY],
            "keepBootstrap": True,
            "schedulableControlPlane": True,
            "imageRegistry": "emptyDir",
            "adminUser": {"name": "Jane.Doe@example.com"},
            "limits": {f"{step}Minutes": 1440 for step in ("boot", "api", "bootstrap", "node", "drain", "install")},
        },
    ),
    "closed to the uplink, sizes at OKD's minimum": both(
        drop("uplink.expose"),
        put("pools", {
            "bootstrap": {"cpus": 4, "memoryMiB": 16384, "diskGiB": 94},
            "control-plane": {"cpus": 4, "memoryMiB": 16384, "diskGiB": 94},
            "compute": {"cpus": 2, "memoryMiB": 8192, "diskGiB": 94},
        }),
    ),
}  # fmt: skip


def unusual(name: str) -> dict[str, Any]:
    """One of the stacks' settings as plain values."""
    config = copy.deepcopy(stack_config("hard-way"))
    UNUSUAL[name](config)
    return config


def planned(name: str) -> Plan:
    """The plan of one of the stacks."""
    return Plan.of(Settings.parse(unusual(name), "Unusual.stack_1"))
