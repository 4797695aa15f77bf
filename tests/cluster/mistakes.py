"""Mistakes that a stack's settings can hold, as edits of the fourteen-machine topology."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

from cluster.names import derived_mac

Config = dict[str, Any]
HIDDEN_PASSWORD = "hunter2hunter2"
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
BRIDGED = {"cidr": "10.20.0.0/24", "address": "10.20.0.40", "gateway": "10.20.0.1"}
SCOS_IMAGE = {name: {"location": f"http://mirror.example.com/{name}"} for name in ("kernel", "initramfs", "rootfs")}


def image(path: str, value: Any) -> Edit:
    """An edit of a boot image of one's own."""
    return both(put("bootImage", copy.deepcopy(SCOS_IMAGE)), put(f"bootImage.{path}", value))


def release(**values: Any) -> Edit:
    """An edit that leaves of the release what is given, and of the installation nothing that needs a new one."""
    return both(put("release", values), put("install.sourcePolicy", None))


def ssh_key(kind: str, length: int) -> str:
    """A public key of a kind whose last part has a length in bytes."""
    parts = (kind.encode(), b"\1\0\1", b"\0" + b"\x7f" * (length - 1))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()}"


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
    "architecture by Go's name": (release(architecture="amd64"), "release.architecture", "write x86_64"),
    "unknown architecture": (release(architecture="riscv64"), "release.architecture", "write x86_64"),
    "architecture whose firmware has no boot loader": (
        release(architecture="aarch64"),
        "release.architecture",
        "the boot loaders of the services host are for BIOS",
    ),
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
        put("install.proxy.http", "https://192.168.200.8:3128"),
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
        put("install.proxy", {"http": "http://192.168.200.8", "noProxy": ["*", "example.com"]}),
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
    # networks that every system treats its own way
    **{
        f"network of {what}": (put("network.cidr", cidr), "network.cidr", what)
        for what, cidr in (
            ("loopback", "127.0.1.0/24"),
            ("link-local", "169.254.1.0/24"),
            ("multicast", "239.1.1.0/24"),
            ("no host in particular", "0.1.2.0/24"),
            ("reserved addresses", "250.1.2.0/24"),
        )
    },
    "uplink on loopback": (put("uplink.cidr", "127.0.0.0/24"), "uplink.cidr", "each machine's own loopback"),
    "uplink link-local": (put("uplink.cidr", "169.254.200.0/24"), "uplink.cidr", "no router forwards"),
    "pods in multicast": (put("install.clusterNetwork", "228.0.0.0/14"), "install.clusterNetwork", "multicast"),
    "services on loopback": (put("install.serviceNetwork", "127.8.0.0/16"), "install.serviceNetwork", "loopback"),
    "service network in the masquerading": (
        put("install.serviceNetwork", "169.254.0.0/17"),
        "install.serviceNetwork",
        "link-local",
    ),
    "uplink is libvirt's default": (
        put("uplink.cidr", "192.168.122.0/24"),
        "uplink.cidr",
        "leave it out to have one derived",
    ),
    "uplink holds libvirt's default": (put("uplink.cidr", "192.168.120.0/22"), "uplink.cidr", "both cannot run"),
    "uplink of two addresses": (put("uplink.cidr", "192.168.126.0/31"), "uplink.address", "not a usable address"),
    "uplink's services host at the edge": (
        put("uplink.address", "192.168.126.255"),
        "uplink.address",
        "not a usable address",
    ),
    "gateway where libvirt is not": (
        put("uplink.gateway", "192.168.126.254"),
        "uplink.gateway",
        "libvirt gives itself 192.168.126.1",
    ),
    "resolver that is the NAT gateway": (
        put("uplink.resolvers", ["192.168.126.1"]),
        "uplink.resolvers[0]",
        "without a name server",
    ),
    "resolver that is the services host": (
        put("uplink.resolvers", ["192.168.200.254"]),
        "uplink.resolvers[0]",
        "ask itself for ever",
    ),
    "resolver on loopback": (put("uplink.resolvers", ["127.0.0.53"]), "uplink.resolvers[0]", "ask itself"),
    "resolver twice": (put("uplink.resolvers", ["10.20.0.2", "10.20.0.2"]), "uplink.resolvers[1]", "listed twice"),
    "resolver with a port": (put("uplink.resolvers", ["10.20.0.2:53"]), "uplink.resolvers[0]", "not an IPv4 address"),
    "time server that is the services host": (
        put("uplink.timeServers", ["192.168.126.10"]),
        "uplink.timeServers[0]",
        "ask itself",
    ),
    "time server twice": (
        put("uplink.timeServers", ["ntp.example.com", "ntp.example.com"]),
        "uplink.timeServers[1]",
        "listed twice",
    ),
    "exposed twice": (put("uplink.expose", [443, 80, 443]), "uplink.expose[2]", "listed twice"),
    "exposed as text": (put("uplink.expose", ["443"]), "uplink.expose[0]", "write 443 without quotes"),
    **{
        f"bridge without {key}": (
            put("uplink", {"bridge": "br0"} | {one: value for one, value in BRIDGED.items() if one != key}),
            f"uplink.{key}",
            f"add uplink.{key}",
        )
        for key in BRIDGED
    },
    "mtu that the overlay leaves too little of": (put("network.mtu", 1379), "network.mtu", "leaves pods 1279 bytes"),
    "mtu too large": (put("network.mtu", 9217), "network.mtu", "at most 9216"),
    "mtu as text": (put("network.mtu", "9000"), "network.mtu", "write 9000 without quotes"),
    "IPv6 network": (put("network.cidr", "fd00::/64"), "network.cidr", "built on IPv4 alone"),
    "IPv6 address": (put("machines.compute-1.address", "fd00::20"), "machines.compute-1.address", "IPv4 alone"),
    "address with a prefix": (
        put("machines.compute-1.address", "192.168.200.21/24"),
        "machines.compute-1.address",
        "write 192.168.200.21",
    ),
    "address with leading zeros": (
        put("machines.compute-1.address", "192.168.200.021"),
        "machines.compute-1.address",
        "not an IPv4 address",
    ),
    "full to the brim with a router apart": (
        both(
            put("network.cidr", "192.168.200.0/27"),
            *(extra(f"gpu-{n}", pool="compute") for n in range(15)),
            put("network.router", "192.168.200.1"),
        ),
        "network.cidr",
        "too small: 30 usable addresses for 31",
    ),
    "network of another address plan": (
        put("network.cidr", "192.168.201.0/24"),
        "network.cidr",
        "none of the addresses of services host and machines lies in it",
    ),
    "mac that libvirt keeps": (put("machines.compute-1.mac", "fe:54:00:00:00:01"), "machines.compute-1.mac", "libvirt"),
    "mac of one machine derived, of another written": (
        both(drop("machines.compute-0.mac"), put("machines.compute-1.mac", derived_mac("hard-way", "compute-0"))),
        "machines.compute-1.mac",
        "also used by machines.compute-0.mac",
    ),
    "mac of the services host": (
        put("machines.compute-1.mac", derived_mac("hard-way", "services/cluster")),
        "machines.compute-1.mac",
        "the services host's card",
    ),
    # names
    "name localhost": (extra("localhost", pool="compute"), "machines.localhost", "nodes would wait"),
    "cluster named apps": (put("cluster.name", "apps"), "cluster.name", "a wildcard would answer"),
    "cluster inside another's wildcard": (
        put("cluster.baseDomain", "apps.hub.example.com"),
        "cluster.baseDomain",
        "write hub.example.com",
    ),
    "cluster deep inside another's wildcard": (
        put("cluster.baseDomain", "dev.apps.hub.example.com"),
        "cluster.baseDomain",
        "write hub.example.com",
    ),
    "domain with a wildcard": (put("cluster.baseDomain", "*.example.com"), "cluster.baseDomain", "write example.com"),
    "domain is an address": (put("cluster.baseDomain", "10.20.0.1"), "cluster.baseDomain", "numbers alone"),
    "domain of a number": (put("cluster.baseDomain", 1.5), "cluster.baseDomain", "put it in quotes"),
    # sizes
    **{
        f"{pool} with little {key}": (put(f"pools.{pool}.{key}", value), f"pools.{pool}.{key}", f"give {least} or more")
        for pool, key, value, least in (
            ("bootstrap", "cpus", 2, 4),
            ("bootstrap", "memoryMiB", 8192, 16384),
            ("bootstrap", "diskGiB", 50, 94),
            ("control-plane", "cpus", 2, 4),
            ("control-plane", "memoryMiB", 16000, 16384),
            ("control-plane", "diskGiB", 93, 94),
            ("compute", "cpus", 1, 2),
            ("compute", "memoryMiB", 4096, 8192),
            ("compute", "diskGiB", 20, 94),
        )
    },
    "one machine below its pool": (
        put("machines.infra-1.memoryMiB", 2048),
        "machines.infra-1.memoryMiB",
        "set checks.minimumSizes to warn",
    ),
    "single node of usual size": (
        put("machines", {"bootstrap": {"address": "192.168.200.10"}, "control-plane-0": {"address": "192.168.200.30"}}),
        "pools.control-plane.cpus",
        "too little for the only node",
    ),
    "services host with little memory": (put("services.memoryMiB", 1024), "services.memoryMiB", "out of memory"),
    "services host with a small disk": (put("services.diskGiB", 5), "services.diskGiB", "fill up"),
    "registry smaller than a release": (put("services.registryGiB", 10), "services.registryGiB", "give 30 or more"),
    "check of no kind": (
        put("checks.minimumSizes", "no"),
        "checks.minimumSizes",
        "choose 'refuse', 'warn' or 'ignore'",
    ),
    "misspelt check": (put("checks.minimumSize", "warn"), "checks.minimumSize", "did you mean minimumSizes?"),
    "memory as text": (put("pools.compute.memoryMiB", "8192"), "pools.compute.memoryMiB", "write 8192 without quotes"),
    "memory with a spelt unit": (put("pools.compute.memoryMiB", "16 GiB"), "pools.compute.memoryMiB", "key: 16384"),
    "disk in terabytes": (put("services.registryGiB", "1T"), "services.registryGiB", "key: 1024"),
    "memory in GiB": (put("services.memoryMiB", 16), "services.memoryMiB", "16 GiB are 16384"),
    "cpus true": (put("pools.compute.cpus", True), "pools.compute.cpus", "whole number"),
    "registry without end": (put("services.registryGiB", 100000), "services.registryGiB", "at most 65536"),
    "protect as text": (
        put("services.protectRegistry", "yes"),
        "services.protectRegistry",
        "write true without quotes",
    ),
    "chrony as text": (put("install.chrony", "False"), "install.chrony", "write false without quotes"),
    "keep the bootstrap by number": (put("install.keepBootstrap", 1), "install.keepBootstrap", "write true or false"),
    "accelerator in capitals": (put("hypervisor.accelerator", "KVM"), "hypervisor.accelerator", "did you mean kvm?"),
    # keys in the wrong place
    "mtu of the uplink": (put("uplink.mtu", 9000), "uplink.mtu", "did you mean network.mtu?"),
    "role of a machine": (
        put("machines.infra-0.role", "compute"),
        "machines.infra-0.role",
        "did you mean pools.<name>.",
    ),
    "kernel arguments of a pool": (
        put("pools.infra.kernelArguments", ["quiet"]),
        "pools.infra.kernelArguments",
        "did you mean machines.<name>.kernelArguments?",
    ),
    "dotted section": (put("services.memoryMiB: 1", 1), "services.memoryMiB: 1", "did you mean memoryMiB?"),
    "checksum beside the image": (put("services.sha256", ALL_NINES), "services.sha256", "services.image.sha256"),
    "misspelt key of a pool": (put("pools.infra.memoryMib", 16384), "pools.infra.memoryMib", "did you mean memoryMiB?"),
    "misspelt key of a catalog": (
        release(engine="oc-mirror", operatorCatalogs=[{"catalog": "quay.io/x/y:1", "package": ["z"]}]),
        "release.operatorCatalogs[0].package",
        "did you mean packages?",
    ),
    "misspelt key of the proxy": (
        put("install.proxy", {"http": "http://10.1.1.1:3128", "no_proxy": ["x"]}),
        "install.proxy.no_proxy",
        "did you mean noProxy?",
    ),
    "misspelt limit": (put("install.limits.bootMinute", 3), "install.limits.bootMinute", "did you mean bootMinutes?"),
    "limit outside of its section": (
        put("install.nodeMinutes", 60),
        "install.nodeMinutes",
        "did you mean install.limits.nodeMinutes?",
    ),
    "limit as text": (put("install.limits.nodeMinutes", "60"), "install.limits.nodeMinutes", "write 60 without quotes"),
    "list of one written as text": (put("install.sshKeys", "ssh-ed25519 AAAA"), "install.sshKeys", "a list belongs"),
    # where the libvirt host is
    "libvirt URI with two slashes": (put("hypervisor.uri", "qemu://system"), "hypervisor.uri", "the name of a host"),
    "libvirt URI without instance": (put("hypervisor.uri", "qemu+ssh://root@host"), "hypervisor.uri", "end in /system"),
    "libvirt of a session": (put("hypervisor.uri", "qemu:///session"), "hypervisor.uri", "may make no networks"),
    "libvirt of another hypervisor": (put("hypervisor.uri", "xen:///system"), "hypervisor.uri", "QEMU machines"),
    "libvirt by an unknown way": (put("hypervisor.uri", "qemu+telnet://h/system"), "hypervisor.uri", "none of qemu"),
    "libvirt by ssh to nowhere": (put("hypervisor.uri", "qemu+ssh:///system"), "hypervisor.uri", "none is named"),
    "libvirt by ssh as nobody": (put("hypervisor.uri", "qemu+ssh://host/system"), "hypervisor.uri", "USER@host/system"),
    "libvirt by ssh as nobody, with a key": (
        put("hypervisor.uri", "qemu+ssh://host/system?keyfile=/k"),
        "hypervisor.uri",
        "names no user",
    ),
    "libvirt by ssh as an empty user": (put("hypervisor.uri", "qemu+ssh://@host/system"), "hypervisor.uri", "no user"),
    "libvirt by ssh as nobody, on a port": (
        put("hypervisor.uri", "qemu+ssh://host:2222/system"),
        "hypervisor.uri",
        "USER@host:2222/system",
    ),
    "libvirt by ssh as nobody, at an IPv6 address": (
        put("hypervisor.uri", "qemu+ssh://[fd00::1]/system"),
        "hypervisor.uri",
        "USER@[fd00::1]/system",
    ),
    "libvirt by ssh with a password": (
        put("hypervisor.uri", f"qemu+ssh://root:{HIDDEN_PASSWORD}@host/system?sshauth=ssh-password"),
        "hypervisor.uri",
        "log in by a key",
    ),
    "libvirt by ssh with a password of unusual characters": (
        put("hypervisor.uri", f"qemu+ssh://root:a/b@{HIDDEN_PASSWORD}@host/system"),
        "hypervisor.uri",
        "log in by a key",
    ),
    "libvirt by tls with a password": (
        put("hypervisor.uri", f"qemu+tls://:{HIDDEN_PASSWORD}@host/system"),
        "hypervisor.uri",
        "log in by a key",
    ),
    "pool path at the top": (put("hypervisor.poolPath", "/"), "hypervisor.poolPath", "top of the file system"),
    "pool path upwards": (put("hypervisor.poolPath", "/srv/../etc"), "hypervisor.poolPath", "through . or .."),
    "media at the top": (release(media="/"), "release.media", "top of the file system"),
    # images and kernel arguments
    "image packed": (put("services.image.location", "/srv/debian-12.qcow2.xz"), "services.image.location", "unpacked"),
    "image for installing": (
        put("services.image.location", "/srv/debian-12.iso"),
        "services.image.location",
        "disk image",
    ),
    "image below home": (put("services.image.location", "~/debian.qcow2"), "services.image.location", "in full"),
    "image at no port": (
        put("services.image.location", "http://example.com:99999/debian.qcow2"),
        "services.image.location",
        "between 1 and 65535",
    ),
    "boot file at no port": (
        image("kernel.location", "http://example.com:0/kernel"),
        "bootImage.kernel.location",
        "between 1 and 65535",
    ),
    "boot file of another architecture": (
        image("kernel.location", "http://mirror.example.com/scos-live-kernel.aarch64"),
        "bootImage.kernel.location",
        "made for aarch64",
    ),
    "kernel and initramfs mixed up": (
        image("kernel.location", "http://mirror.example.com/scos-live-initramfs.x86_64.img"),
        "bootImage.kernel.location",
        "in the place of the kernel",
    ),
    "one boot file for two": (
        image("rootfs.location", "http://mirror.example.com/initramfs"),
        "bootImage.rootfs.location",
        "also the initramfs",
    ),
    "boot image is a CD": (
        image("kernel.location", "http://mirror.example.com/scos-live.x86_64.iso"),
        "bootImage.kernel.location",
        "a CD image",
    ),
    "client for another system": (
        release(client={"location": "https://example.com/openshift-client-windows.zip"}),
        "release.client.location",
        "for Linux",
    ),
    "client is the installer": (
        release(client={"location": "https://example.com/openshift-install-linux.tar.gz"}),
        "release.client.location",
        "openshift-client-linux",
    ),
    "client of another architecture": (
        release(client={"location": "https://example.com/openshift-client-linux-arm64.tar.gz"}),
        "release.client.location",
        "made for aarch64",
    ),
    **{
        f"kernel argument {argument}": (
            put("bootImage.kernelArguments", ["quiet", argument]),
            "bootImage.kernelArguments[1]",
            "the program gives",
        )
        for argument in (
            "ip=192.168.200.20::192.168.200.254:255.255.255.0:compute-0:enp1s0:none",
            "coreos.inst.install_dev=/dev/sda",
            "coreos.live.rootfs_url=http://10.0.0.1/rootfs",
            "ignition.config.url=http://10.0.0.1/x.ign",
            "nameserver=10.0.0.1",
        )
    },
    **{
        f"kernel argument {argument}": (
            put("bootImage.kernelArguments", [argument]),
            "bootImage.kernelArguments[0]",
            harm,
        )
        for argument, harm in {
            "bond=bond0:enp1s0,enp2s0:mode=802.3ad": "one virtio card",
            "vlan=enp1s0.100:enp1s0": "one virtio card",
            "team=team0:enp1s0": "one virtio card",
            "bridge=br0:enp1s0": "one virtio card",
            "ifname=net0:52:54:00:12:34:56": "one virtio card",
            "rd.znet=qeth,0.0.0600,0.0.0601,0.0.0602": "one virtio card",
            "rd.route=10.0.0.0/8:192.168.200.1": "what the lease says",
            "rd.peerdns=0": "what the lease says",
            "netroot=iscsi:@10.0.0.1::3260::iqn.2026-01.com.example:disk": "another root file system",
        }.items()
    },
    "kernel argument of one machine": (
        put("machines.infra-0.kernelArguments", ["coreos.inst.stream=stable"]),
        "machines.infra-0.kernelArguments[0]",
        "the program gives",
    ),
    # lists that name something twice, keys that are cut
    "additional image twice": (
        release(additionalImages=[f"quay.io/x/y@sha256:{ALL_NINES}"] * 2),
        "release.additionalImages[1]",
        "listed twice",
    ),
    "catalog twice": (
        release(engine="oc-mirror", operatorCatalogs=[{"catalog": "quay.io/x/y:1"}, {"catalog": "quay.io/x/y:1"}]),
        "release.operatorCatalogs[1]",
        "listed twice",
    ),
    "ssh key cut short": (
        put("install.sshKeys", ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp"]),
        "install.sshKeys[0]",
        "not a public SSH key",
    ),
    "ssh key of DSA": (put("install.sshKeys", [ssh_key("ssh-dss", 128)]), "install.sshKeys[0]", "too weak"),
    "ssh key of 1024 bits": (put("install.sshKeys", [ssh_key("ssh-rsa", 129)]), "install.sshKeys[0]", "too weak"),
}
