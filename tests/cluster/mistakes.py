"""Mistakes that a stack's settings can hold, as edits of the fourteen-machine topology."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Config = dict[str, Any]
Edit = Callable[[Config], Any]


def put(path: str, value: Any) -> Edit:
    """An edit that sets one setting, given by its dotted path."""

    def edit(config: Config) -> None:
        *parents, last = path.split(".")
        for part in parents:
            config = config.setdefault(part, {})
        config[last] = value

    return edit


def drop(path: str) -> Edit:
    def edit(config: Config) -> None:
        *parents, last = path.split(".")
        for part in parents:
            config = config[part]
        del config[last]

    return edit


def extra(name: str, **machine: Any) -> Edit:
    return put(f"machines.{name}", {"address": "192.168.200.99"} | machine)


def both(*edits: Edit) -> Edit:
    def edit(config: Config) -> None:
        for one in edits:
            one(config)

    return edit


ALL_NINES = "9" * 64
# edit, the setting that is named, and words of the harm or the fix
CATALOGUE: dict[str, tuple[Edit, str, str]] = {
    "network too small": (
        put("network.cidr", "192.168.200.248/29"),
        "network.cidr",
        "too small: 6 usable addresses for 15",
    ),
    "network too large": (put("network.cidr", "192.0.0.0/8"), "network.cidr", "too large"),
    "network without prefix": (put("network.cidr", "192.168.200.0"), "network.cidr", "single address"),
    "network with host bits": (put("network.cidr", "192.168.200.7/24"), "network.cidr", "write 192.168.200.0/24"),
    "network with wrong prefix": (put("network.cidr", "192.168.200.0/33"), "network.cidr", "between 0 and 32"),
    "network is no network": (put("network.cidr", "example/24"), "network.cidr", "not an IPv4 network"),
    "network overlaps pods": (put("network.cidr", "10.128.4.0/24"), "network.cidr", "uses for pods"),
    "uplink overlaps cluster services": (put("uplink.cidr", "172.30.1.0/24"), "uplink.cidr", "cluster services"),
    "mtu too small": (put("network.mtu", 68), "network.mtu", "at least 1280"),
    "router outside": (put("network.router", "10.0.0.1"), "network.router", "outside the cluster network"),
    "router is a machine": (
        put("network.router", "192.168.200.20"),
        "machines.compute-0.address",
        "also used by network.router",
    ),
    "address outside": (
        put("machines.compute-1.address", "192.168.201.5"),
        "machines.compute-1.address",
        "between 192.168.200.1 and 192.168.200.254",
    ),
    "address of the network": (
        put("machines.compute-1.address", "192.168.200.0"),
        "machines.compute-1.address",
        "network address",
    ),
    "broadcast address": (
        put("machines.compute-1.address", "192.168.200.255"),
        "machines.compute-1.address",
        "broadcast address",
    ),
    "address twice": (
        put("machines.compute-1.address", "192.168.200.20"),
        "machines.compute-1.address",
        "also used by machines.compute-0.address",
    ),
    "address of the services host": (
        put("machines.compute-1.address", "192.168.200.254"),
        "machines.compute-1.address",
        "also used by services.address",
    ),
    "address malformed": (
        put("machines.compute-1.address", "192.168.200"),
        "machines.compute-1.address",
        "not an IPv4 address",
    ),
    "address missing": (drop("machines.compute-1.address"), "machines.compute-1.address", "no lease and no record"),
    "mac malformed": (put("machines.compute-1.mac", "f8:75:a4:ac:02"), "machines.compute-1.mac", "not a MAC"),
    "mac unquoted": (put("machines.compute-1.mac", 31902131), "machines.compute-1.mac", "put it in quotes"),
    "mac multicast": (put("machines.compute-1.mac", "01:75:a4:ac:02:01"), "machines.compute-1.mac", "multicast"),
    "mac of zeros": (put("machines.compute-1.mac", "00:00:00:00:00:00"), "machines.compute-1.mac", "all-zero"),
    "mac twice": (
        put("machines.compute-1.mac", "F8-75-A4-AC-02-00"),
        "machines.compute-1.mac",
        "also used by machines.compute-0.mac",
    ),
    "name with capitals": (extra("Compute-9", pool="compute"), "machines.Compute-9", "not a DNS label"),
    "name with underscore": (extra("compute_9", pool="compute"), "machines.compute_9", "not a DNS label"),
    "name too long": (extra("c" * 64, pool="compute"), f"machines.{'c' * 64}", "not a DNS label"),
    "name ends in hyphen": (extra("compute-", pool="compute"), "machines.compute-", "not a DNS label"),
    "names that differ in case": (
        extra("COMPUTE-0", pool="compute"),
        "machines.COMPUTE-0",
        "does not tell it from compute-0",
    ),
    "name of the services host": (extra("services", pool="compute"), "machines.services", "collides with"),
    "name of a renamed services host": (
        both(put("services.name", "helper"), extra("helper", pool="compute")),
        "machines.helper",
        "duplicate",
    ),
    **{
        f"name {name}": (extra(name, pool="compute"), f"machines.{name}", "collides with")
        for name in ("api", "api-int", "ns", "dns", "apps")
    },
    "services host named api": (put("services.name", "api"), "services.name", "collides with"),
    "host name too long": (
        put("cluster.baseDomain", f"{'a' * 30}.{'b' * 30}.example"),
        "machines.bootstrap",
        "longer than 63",
    ),
    "domain malformed": (put("cluster.baseDomain", "exa_mple.com"), "cluster.baseDomain", "not a DNS domain"),
    "domain missing": (drop("cluster.baseDomain"), "cluster.baseDomain", "no default"),
    "cluster name malformed": (put("cluster.name", "okd.prod"), "cluster.name", "not a DNS label"),
    "two control planes": (drop("machines.control-plane-2"), "machines", "two cannot keep quorum"),
    "four control planes": (extra("control-plane-3"), "machines", "odd number"),
    "no bootstrap": (drop("machines.bootstrap"), "machines", "exactly one bootstrap"),
    "two bootstraps": (extra("bootstrap-1"), "machines", "exactly one bootstrap"),
    "unknown pool": (extra("compte-9"), "machines.compte-9.pool", "did you mean compute?"),
    "unknown pool, nothing near": (extra("xyz-1"), "machines.xyz-1.pool", "add it under pools"),
    "unknown role": (put("pools.compute.role", "worker"), "pools.compute.role", "choose 'bootstrap'"),
    "no cpus": (put("pools.compute.cpus", 0), "pools.compute.cpus", "at least 1"),
    "memory with a unit": (put("pools.compute.memoryMiB", "8G"), "pools.compute.memoryMiB", "digits only"),
    "disk of a fraction": (put("machines.compute-0.diskGiB", 1.5), "machines.compute-0.diskGiB", "whole number"),
    "extra disks no list": (
        put("pools.storage.extraDisksGiB", 100),
        "pools.storage.extraDisksGiB",
        "a list belongs here",
    ),
    "uplink overlaps": (put("uplink.cidr", "192.168.0.0/16"), "uplink.cidr", "overlaps the cluster network"),
    "uplink address outside": (put("uplink.address", "10.0.0.1"), "uplink.address", "not a usable address"),
    "uplink gateway outside": (put("uplink.gateway", "10.0.0.1"), "uplink.gateway", "not a usable address"),
    "uplink address is gateway": (put("uplink.address", "192.168.122.1"), "uplink.address", "also the gateway"),
    "bridge name too long": (put("uplink.bridge", "a-very-long-bridge"), "uplink.bridge", "no interface of that name"),
    "exposed port": (put("uplink.expose", [22623]), "uplink.expose[0]", "choose 443, 80 or 6443"),
    "resolver malformed": (put("uplink.resolvers", ["resolver"]), "uplink.resolvers[0]", "not an IPv4 address"),
    "time server malformed": (put("uplink.timeServers", ["1.2.3"]), "uplink.timeServers[0]", "not an IPv4 address"),
    "time servers by name, no resolver": (put("uplink.resolvers", []), "uplink.timeServers", "no resolver"),
    "image sha256": (put("services.image.sha256", "abc"), "services.image.sha256", "64 hexadecimal digits"),
    "image by ftp": (put("services.image.location", "ftp://x/y"), "services.image.location", "neither a path nor"),
    "image missing": (drop("services.image"), "services.image", "no default"),
    "kernel by path": (
        put("bootImage.kernel.location", "/boot/kernel"),
        "bootImage.kernel.location",
        "not the http(s) URL",
    ),
    "kernel sha256": (put("bootImage.kernel.sha256", ALL_NINES[1:]), "bootImage.kernel.sha256", "64 hexadecimal"),
    "kernel argument with blank": (
        put("bootImage.kernelArguments", ["a b"]),
        "bootImage.kernelArguments[0]",
        "item of its own",
    ),
    "kernel argument with quote": (
        put("bootImage.kernelArguments", ['a="b"']),
        "bootImage.kernelArguments[0]",
        "quotes",
    ),
    "unknown operating system": (
        put("services.operatingSystem", "rhel"),
        "services.operatingSystem",
        "'debian-12' or 'fedora'",
    ),
    "unknown accelerator": (put("hypervisor.accelerator", "tcg"), "hypervisor.accelerator", "'auto', 'kvm' or 'qemu'"),
    "libvirt URI": (put("hypervisor.uri", "localhost"), "hypervisor.uri", "qemu:///system"),
    "pool path relative": (put("hypervisor.poolPath", "images"), "hypervisor.poolPath", "absolute path"),
    "protect neither true nor false": (
        put("services.protectRegistry", "perhaps"),
        "services.protectRegistry",
        "true or false",
    ),
    "misspelt key": (put("services.memoryMB", 4), "services.memoryMB", "did you mean memoryMiB?"),
    "misspelt key of a machine": (
        put("machines.compute-0.adress", "x"),
        "machines.compute-0.adress",
        "did you mean address?",
    ),
    "misspelt key of the rootfs": (put("bootImage.rootfs.sha", "x"), "bootImage.rootfs.sha", "did you mean sha256?"),
    "misspelt section": (put("netwrok", {}), "netwrok", "did you mean network?"),
    "unknown key": (put("cluster.zzz", 1), "cluster.zzz", "known here: baseDomain, name"),
    "section no mapping": (put("uplink", "eth0"), "uplink", "a mapping of settings belongs here"),
    "machines no mapping": (put("machines", ["a"]), "machines", "a mapping of settings belongs here"),
    "pools no mapping": (put("pools", "many"), "pools", "a mapping of settings belongs here"),
    "machine no mapping": (put("machines.compute-0", "192.168.200.20"), "machines.compute-0", "a mapping of settings"),
}
