"""Mistakes that a stack's settings can hold, as edits of the fourteen-machine topology."""

from __future__ import annotations

import copy
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
AUTHS = '{"auths": {"quay.io": {"auth": "%s"}}}'
SCOS_IMAGE = {name: {"location": f"http://mirror.example.com/{name}"} for name in ("kernel", "initramfs", "rootfs")}


def image(path: str, value: Any) -> Edit:
    """An edit of a boot image of one's own."""
    return both(put("bootImage", copy.deepcopy(SCOS_IMAGE)), put(f"bootImage.{path}", value))


def release(**values: Any) -> Edit:
    """An edit that leaves of the release what is given, and of the installation nothing that needs a new one."""
    return both(put("release", values), put("install.sourcePolicy", None))


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
    "network overlaps the join switch": (put("uplink.cidr", "100.64.7.0/24"), "uplink.cidr", "join switch"),
    "uplink overlaps cluster services": (put("uplink.cidr", "172.30.1.0/24"), "uplink.cidr", "cluster services"),
    "mtu too small": (put("network.mtu", 68), "network.mtu", "at least 1380"),
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
    "uplink overlaps": (put("uplink.cidr", "192.168.200.0/23"), "uplink.cidr", "overlaps the cluster network"),
    "uplink address outside": (put("uplink.address", "10.0.0.1"), "uplink.address", "not a usable address"),
    "uplink gateway outside": (put("uplink.gateway", "10.0.0.1"), "uplink.gateway", "not a usable address"),
    "uplink address is gateway": (put("uplink.address", "192.168.126.1"), "uplink.address", "also the gateway"),
    "bridge name too long": (put("uplink.bridge", "a-very-long-bridge"), "uplink.bridge", "no interface of that name"),
    "exposed port": (put("uplink.expose", [22623]), "uplink.expose[0]", "choose 443, 80 or 6443"),
    "resolver malformed": (put("uplink.resolvers", ["resolver"]), "uplink.resolvers[0]", "not an IPv4 address"),
    "time server malformed": (put("uplink.timeServers", ["1.2.3"]), "uplink.timeServers[0]", "not an IPv4 address"),
    "time servers by name, no resolver": (put("uplink.resolvers", []), "uplink.timeServers", "no resolver"),
    "image sha256": (put("services.image.sha256", "abc"), "services.image.sha256", "64 hexadecimal digits"),
    "image by ftp": (put("services.image.location", "ftp://x/y"), "services.image.location", "neither a path nor"),
    "image missing": (drop("services.image"), "services.image", "no default"),
    "kernel by path": (
        image("kernel.location", "/boot/kernel"),
        "bootImage.kernel.location",
        "not the http(s) URL",
    ),
    "kernel sha256": (image("kernel.sha256", ALL_NINES[1:]), "bootImage.kernel.sha256", "64 hexadecimal"),
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
    "misspelt key of the rootfs": (image("rootfs.sha", "x"), "bootImage.rootfs.sha", "did you mean sha256?"),
    "misspelt section": (put("netwrok", {}), "netwrok", "did you mean network?"),
    "unknown key": (put("cluster.zzz", 1), "cluster.zzz", "known here: baseDomain, name"),
    "section no mapping": (put("uplink", "eth0"), "uplink", "a mapping of settings belongs here"),
    "machines no mapping": (put("machines", ["a"]), "machines", "a mapping of settings belongs here"),
    "pools no mapping": (put("pools", "many"), "pools", "a mapping of settings belongs here"),
    "machine no mapping": (put("machines.compute-0", "192.168.200.20"), "machines.compute-0", "a mapping of settings"),
    # release
    "release no mapping": (put("release", "4.22"), "release", "a mapping of settings"),
    "pull spec without registry": (
        release(image="okd/scos-release:4.22.0-okd-scos.7"),
        "release.image",
        "quay.io/okd/scos-release:4.22.0-okd-scos.7",
    ),
    "pull spec without tag": (release(image="quay.io/okd/scos-release"), "release.image", "neither tag nor digest"),
    "pull spec with a short digest": (
        release(image="quay.io/okd/scos-release@sha256:abc"),
        "release.image",
        "not the pull spec",
    ),
    "version of another product": (release(version="4.22.0"), "release.version", "write it in full"),
    "version unquoted": (release(version=4.22), "release.version", "in quotes"),
    "version and tag disagree": (
        release(image="quay.io/okd/scos-release:4.22.0-okd-scos.7", version="4.22.0-okd-scos.6"),
        "release.version",
        "the tag of another version, 4.22.0-okd-scos.7",
    ),
    "image by digest, no version": (
        release(image=f"quay.io/okd/scos-release@sha256:{ALL_NINES}"),
        "release.version",
        "does not tell which version",
    ),
    "image with a tag that is no version": (
        release(image="quay.io/okd/scos-release:latest"),
        "release.version",
        "does not tell which version",
    ),
    "digest malformed": (release(digest=ALL_NINES), "release.digest", "write sha256:"),
    "digests disagree": (
        release(image=f"quay.io/okd/scos-release:4.22.0-okd-scos.7@sha256:{ALL_NINES}", digest=f"sha256:{'8' * 64}"),
        "release.digest",
        "another digest",
    ),
    "unknown architecture": (release(architecture="amd64"), "release.architecture", "choose 'x86_64' or 'aarch64'"),
    "source is a reference": (
        release(sources=["quay.io/okd/scos-release:4.22", "quay.io/okd/scos-content"]),
        "release.sources[0]",
        "write quay.io/okd/scos-release",
    ),
    "source without registry": (release(sources=["scos-content"]), "release.sources[0]", "not a repository"),
    "sources lack the release's own": (
        release(sources=["quay.io/okd/scos-content"]),
        "release.sources",
        "add quay.io/okd/scos-release",
    ),
    "sources unknown": (
        release(image="registry.example.com/mine/okd:4.22.0-okd-scos.7"),
        "release.sources",
        "list the release's repository",
    ),
    "source twice": (
        release(sources=["quay.io/okd/scos-release", "quay.io/okd/scos-content", "quay.io/okd/scos-content"]),
        "release.sources[2]",
        "listed twice",
    ),
    "pull secret no JSON": (release(pullSecret="{auths"), "release.pullSecret", "not JSON"),
    "pull secret no text": (release(pullSecret={"auths": {}}), "release.pullSecret", "pulumi config set --secret"),
    "pull secret empty": (release(pullSecret='{"auths": {}}'), "release.pullSecret", "without auths"),
    "pull secret without base64": (release(pullSecret=AUTHS % "user:word"), "release.pullSecret", "in base64"),
    "pull secret without colon": (release(pullSecret=AUTHS % "dXNlcg=="), "release.pullSecret", "user:password"),
    "trusted certificate missing": (
        release(trustedCertificates=["no/such/file.pem"]),
        "release.trustedCertificates[0]",
        "a relative path starts at",
    ),
    "trusted certificate is none": (
        release(trustedCertificates=["README.md"]),
        "release.trustedCertificates[0]",
        "no certificate in PEM form",
    ),
    "trusted certificate by URL": (
        release(trustedCertificates=["https://example.com/ca.pem"]),
        "release.trustedCertificates[0]",
        "not a path",
    ),
    "client by path": (release(client={"location": "oc.tar.gz"}), "release.client.location", "http(s) URL"),
    "client sha256": (release(client={"sha256": "1"}), "release.client.sha256", "64 hexadecimal"),
    "unknown engine": (release(engine="skopeo"), "release.engine", "'oc' or 'oc-mirror'"),
    "no attempts": (release(attempts=0), "release.attempts", "at least 1"),
    "additional image by tag": (
        release(additionalImages=["quay.io/x/y:1"]),
        "release.additionalImages[0]",
        "skopeo inspect",
    ),
    "catalogs without oc-mirror": (
        release(operatorCatalogs=[{"catalog": "quay.io/x/catalog:latest"}]),
        "release.operatorCatalogs",
        "set release.engine to oc-mirror",
    ),
    "catalog without tag": (
        release(engine="oc-mirror", operatorCatalogs=[{"catalog": "quay.io/x/catalog"}]),
        "release.operatorCatalogs[0].catalog",
        "neither tag nor digest",
    ),
    "media relative": (release(media="usb"), "release.media", "absolute path"),
    "misspelt key of the release": (release(pulSecret="{}"), "release.pulSecret", "did you mean pullSecret?"),
    # boot image and release
    "initramfs missing": (
        both(put("bootImage", {"kernel": SCOS_IMAGE["kernel"]})),
        "bootImage.initramfs",
        "or give no file",
    ),
    "rootfs alone": (
        put("bootImage", {"rootfs": SCOS_IMAGE["rootfs"]}),
        "bootImage.kernel",
        "add kernel and initramfs",
    ),
    "Fedora CoreOS under a new release": (
        image("kernel.location", "https://builds.example.com/fedora-coreos-39-live-kernel-x86_64"),
        "bootImage.kernel.location",
        "take CentOS Stream CoreOS",
    ),
    "CentOS Stream CoreOS under an old release": (
        both(
            image("rootfs.location", "https://example.com/scos-9-live-rootfs.x86_64.img"),
            release(version="4.15.0-0.okd-2024-03-10-010116"),
        ),
        "bootImage.rootfs.location",
        "built on Fedora CoreOS",
    ),
    **{
        f"{minor} without boot image": (
            release(version=f"{minor}.0-okd-scos.1"),
            "bootImage",
            "or take a release since 4.19",
        )
        for minor in ("4.17", "4.18")
    },
    # install
    "cluster network overlaps service network": (
        put("install.clusterNetwork", "172.30.128.0/17"),
        "install.clusterNetwork",
        "overlaps install.serviceNetwork 172.30.0.0/16",
    ),
    "service network overlaps cluster network": (
        put("install.serviceNetwork", "10.129.0.0/16"),
        "install.serviceNetwork",
        "overlaps install.clusterNetwork 10.128.0.0/14",
    ),
    "cluster network overlaps machines": (
        put("install.clusterNetwork", "192.168.128.0/17"),
        "install.clusterNetwork",
        "overlaps network.cidr 192.168.200.0/24",
    ),
    "service network overlaps uplink": (
        put("install.serviceNetwork", "192.168.126.0/25"),
        "install.serviceNetwork",
        "overlaps uplink.cidr",
    ),
    "cluster network overlaps the transit switch": (
        put("install.clusterNetwork", "100.88.0.0/14"),
        "install.clusterNetwork",
        "transit switch",
    ),
    "service network too large": (
        put("install.serviceNetwork", "172.0.0.0/11"),
        "install.serviceNetwork",
        "the installer refuses it",
    ),
    "too few node networks": (
        both(put("install.clusterNetwork", "10.128.0.0/21"), put("install.hostPrefix", 23)),
        "install.hostPrefix",
        "leaves 4 node networks of /23 in 10.128.0.0/21 for 12 nodes",
    ),
    "host prefix outside": (put("install.hostPrefix", 10), "install.hostPrefix", "leaves 0 node networks"),
    "host prefix too long": (put("install.hostPrefix", 30), "install.hostPrefix", "at most 28"),
    "ssh key is none": (put("install.sshKeys", ["ssh-ed25519 AAAA"]), "install.sshKeys[0]", "not a public SSH key"),
    "ssh key is private": (
        put("install.sshKeys", ["-----BEGIN OPENSSH PRIVATE KEY-----"]),
        "install.sshKeys[0]",
        "a private key",
    ),
    "ssh key of another kind": (
        put("install.sshKeys", ["ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp"]),
        "install.sshKeys[0]",
        "not a public SSH key",
    ),
    "proxy without scheme": (put("install.proxy.http", "proxy:3128"), "install.proxy.http", "write http://"),
    "proxy with a password": (
        put("install.proxy.https", "http://me:word@proxy.example.com:3128"),
        "install.proxy.https",
        "without user and password",
    ),
    "proxy of wrong scheme": (
        put("install.proxy.http", "https://proxy.example.com"),
        "install.proxy.http",
        "http:// only",
    ),
    "proxy among pods": (put("install.proxy.http", "http://10.128.0.1:3128"), "install.proxy.http", "uses for pods"),
    "proxy empty": (put("install.proxy", {}), "install.proxy", "add http or https"),
    "no proxy with wildcard": (
        put("install.proxy", {"http": "http://proxy.example.com", "noProxy": ["*.example.com"]}),
        "install.proxy.noProxy[0]",
        "no wildcards",
    ),
    "no proxy for all and some": (
        put("install.proxy", {"http": "http://proxy.example.com", "noProxy": ["*", "example.com"]}),
        "install.proxy.noProxy",
        "only alone",
    ),
    "unknown source policy": (put("install.sourcePolicy", "Never"), "install.sourcePolicy", "'NeverContactSource'"),
    "source policy of an old release": (
        both(release(version="4.20.0-okd-scos.1"), put("install.sourcePolicy", "NeverContactSource")),
        "install.sourcePolicy",
        "or take a release since 4.21",
    ),
    "schedulable neither": (
        put("install.schedulableControlPlane", "yes"),
        "install.schedulableControlPlane",
        "choose 'auto'",
    ),
    "image registry on a volume": (put("install.imageRegistry", "pvc"), "install.imageRegistry", "'emptyDir'"),
    "admin named kubeadmin": (put("install.adminUser.name", "kubeadmin"), "install.adminUser.name", "choose another"),
    "admin with colon": (put("install.adminUser.name", "a:b"), "install.adminUser.name", "password file"),
    "pool named worker": (
        both(put("pools.worker", {"role": "compute"}), extra("gpu-0", pool="worker")),
        "pools.worker",
        "MachineConfigPool",
    ),
    "manifests missing": (put("install.manifests", "no/such/directory"), "install.manifests", "give a directory"),
    "manifests no directory": (put("install.manifests", "README.md"), "install.manifests", "give a directory"),
    "cluster name too long for the installer": (
        both(put("cluster.name", "c" * 55), put("cluster.baseDomain", "x")),
        "cluster.name",
        "longer than 54",
    ),
}
