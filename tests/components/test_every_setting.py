"""Every setting changes something: each with the file, document or resource that it changes, found in what is planned.

A setting without a row fails, and so does a row whose change changes nothing. Files are named by their path on the
services host, documents by the agent's verb that reads them, resources by `name: argument`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import ignition, installation, media, preflight, pull_secret, review, settings_keys
from cluster.host_os import RELEASE
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from components.image import image_digest
from tests.cluster.mistakes import Config, Edit, both, drop, put
from tests.cluster.state import standing
from tests.cluster.test_preflight import FREE
from tests.components.test_program import Runner
from tests.conftest import UPSTREAM_CA, stack_config

STACK = "hard-way"
REPORTED = {
    "version": "4.22.0-okd-scos.7",
    "digest": f"sha256:{'a' * 64}",
    "release": f"services.okd.example.com:5000/okd/scos-release@sha256:{'a' * 64}",
    "signature": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signature"}},
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDr3v0K0cQzkCGvnl1jLcZeJjLqVHFdCvPp0ORZ0aFp me@example.com"
IMAGE = f"quay.io/x/y@sha256:{'c' * 64}"
SHA = "9" * 64
SHORT = 1024  # MiB of the libvirt host's free memory, and more than enough of a reason to look at the checks
CONFIG, MANIFESTS = f"{RELEASE}/install-config.yaml", f"{RELEASE}/manifests"


def given(path: str, value: Any) -> Edit:
    """As `put`, of a value that later edits may change."""
    return lambda settings: put(path, copy.deepcopy(value))(settings)


BRIDGED = given("uplink", {"cidr": "10.20.0.0/24", "address": "10.20.0.40", "gateway": "10.20.0.1", "bridge": "br0"})
FILES = {name: {"location": f"http://mirror.example.com/{name}"} for name in ("kernel", "initramfs", "rootfs")}
OWN_BOOT = given("bootImage", FILES)
# The way to the proxy, which the services host is not.
PROXIED = both(put("network.router", "192.168.200.1"), put("install.proxy.http", "http://192.168.200.8:3128"))
CATALOGS = both(
    put("release.engine", "oc-mirror"), put("release.operatorCatalogs", [{"catalog": "quay.io/x/catalog:1"}])
)
TAINT, TAINTS = {"key": "example.com/slow", "value": "very", "effect": "NoSchedule"}, "pools.compute.taints"
TAINTED = given(TAINTS, [TAINT])
NO_IMAGE = both(drop("release.image"), drop("release.client"))
# One machine for the control plane, and two in a pool that could join it.
SMALL = both(*(drop(f"machines.{name}") for name in ("control-plane-1", "control-plane-2", "infra-2")))
SMALL = both(SMALL, put("pools.control-plane.cpus", 8), given("pools.infra", {"cpus": 8}))


class Any64(dict[str, str]):
    """A SHA-256 for whatever secret is asked for."""

    def __missing__(self, key: str) -> str:
        return "1" * 64


def _ignition(plan: Plan) -> Any:
    return ignition.document(
        plan,
        release=REPORTED,
        ca_certificate=UPSTREAM_CA.read_text(),
        login_key="ssh-ed25519 login",
        hashes=Any64(),
        generation="first",
        cluster="0",
    )


def _uuids(plan: Plan) -> dict[str, str]:
    return {machine.name: f"uuid-{machine.name}" for machine in plan.machines}


# A libvirt host with too little of everything.
TIGHT = replace(
    FREE,
    memory_free_mib=SHORT,
    pools=tuple(replace(one, free=1) for one in FREE.pools or ()),
    here=FREE.here and replace(FREE.here, directory=FREE.here.directory and replace(FREE.here.directory, free=1)),
)
DOCUMENTS: dict[str, Callable[[Plan], Any]] = {
    "fetch": lambda plan: plan.client_fetch(Any64()),
    "mirror": lambda plan: plan.mirror(Any64()),
    "boot-image": lambda plan: plan.boot_image(REPORTED, Any64()),
    "ignition": _ignition,
    "await-bootstrap": lambda plan: installation.bootstrap(plan, _uuids(plan)),
    "node-join": lambda plan: [installation.membership(plan, one, "uuid") for one in plan.members],
    "await-install": lambda plan: installation.completion(plan, REPORTED),
    "outputs": lambda plan: plan.outputs(),
    "media-save": lambda plan: media.document(plan, Path("/mnt")),
    "pull secret": lambda plan: pull_secret.merged(plan, "okd", "word"),
    "the machines of a cluster that stands": lambda plan: [one.name for one in standing(plan, plan).bootstrap_machines],
    "the name of the services host's image": lambda plan: image_digest(
        plan.settings.services.image.location, plan.settings.services.image.sha256
    ),
    "findings about the libvirt host": lambda plan: preflight.findings(plan, TIGHT),
    "warnings": lambda plan: plan.settings.warnings,
}


@dataclass(frozen=True)
class Row:
    """`value` is given to the setting in the example stack after `base` edited it, and `shows` is what changes.

    `at` is the setting's path where that is not its own, as for one of many machines; `may_be_refused` where the only
    other value is one that is refused by the setting's name.
    """

    value: Any
    shows: str
    base: Edit = lambda config: None
    at: str = ""
    may_be_refused: bool = False


def chronyed(role: str) -> str:
    return f"{MANIFESTS}/99-okd-chrony-{role}.yaml"


ROWS: dict[str, Row] = {
    "cluster.name": Row("other", CONFIG),
    "cluster.baseDomain": Row("example.org", CONFIG),
    "hypervisor.uri": Row("qemu+ssh://root@host/system", "hypervisor-libvirt: uri"),
    "hypervisor.accelerator": Row("kvm", "services-domain: type"),
    "hypervisor.poolPath": Row("/srv/okd", "hypervisor-pool: target"),
    "network.cidr": Row("192.168.192.0/20", "/etc/kea/kea-dhcp4.conf"),
    "network.router": Row("192.168.200.1", "/etc/kea/kea-dhcp4.conf"),
    "network.mtu": Row(9000, "network-cluster: mtu"),
    "uplink.cidr": Row("192.168.127.0/24", "network-uplink: addresses"),
    "uplink.address": Row("10.20.0.41", "/cloud-init/network-config", BRIDGED),
    "uplink.gateway": Row("10.20.0.2", "/cloud-init/network-config", BRIDGED),
    "uplink.bridge": Row("br0", "/cloud-init/network-config", put("uplink", {"cidr": "10.20.0.0/24"}), at="uplink"),
    "uplink.resolvers": Row(["10.20.0.9"], "/etc/bind/named.conf"),
    "uplink.timeServers": Row(["10.20.0.9"], "/etc/chrony/sources.d/okd-libvirt.sources"),
    "uplink.expose": Row([443], "/etc/haproxy/haproxy.cfg"),
    "services.name": Row("helper", CONFIG),
    "services.address": Row("192.168.200.253", "/etc/kea/kea-dhcp4.conf"),
    "services.operatingSystem": Row("fedora", "/etc/named.conf"),
    "services.image.location": Row("https://example.com/debian-12.qcow2", "the name of the services host's image"),
    "services.image.sha256": Row(SHA, "the name of the services host's image"),
    "services.cpus": Row(3, "services-domain: vcpu"),
    "services.memoryMiB": Row(9999, "services-domain: memory"),
    "services.diskGiB": Row(41, "services-root: size"),
    "services.registryGiB": Row(251, "services-registry-data: size"),
    "services.protectRegistry": Row(False, "services-registry-data: protect"),
    "pools.<name>.role": Row("control-plane", "/etc/haproxy/haproxy.cfg", SMALL, at="pools.infra.role"),
    "pools.<name>.cpus": Row(5, "compute-0-domain: vcpu", at="pools.compute.cpus"),
    "pools.<name>.memoryMiB": Row(20000, "compute-0-domain: memory", at="pools.compute.memoryMiB"),
    "pools.<name>.diskGiB": Row(121, "compute-0-root: size", at="pools.compute.diskGiB"),
    "pools.<name>.extraDisksGiB": Row([7], "storage-0-data-0: size", at="pools.storage.extraDisksGiB"),
    "pools.<name>.labels": Row({"example.com/rack": "r1"}, "node-join", at="pools.compute.labels"),
    "pools.<name>.taints.key": Row([{**TAINT, "key": "example.com/old"}], "node-join", TAINTED, at=TAINTS),
    "pools.<name>.taints.value": Row([{**TAINT, "value": "yes"}], "node-join", TAINTED, at=TAINTS),
    "pools.<name>.taints.effect": Row([{**TAINT, "effect": "NoExecute"}], "node-join", TAINTED, at=TAINTS),
    "machines.<name>.pool": Row("storage", "outputs", at="machines.compute-0.pool"),
    "machines.<name>.address": Row("192.168.200.99", "/etc/kea/kea-dhcp4.conf", at="machines.compute-0.address"),
    "machines.<name>.mac": Row("52:54:00:00:00:99", "/etc/kea/kea-dhcp4.conf", at="machines.compute-0.mac"),
    "machines.<name>.cpus": Row(6, "compute-1-domain: vcpu", at="machines.compute-1.cpus"),
    "machines.<name>.memoryMiB": Row(30000, "compute-1-domain: memory", at="machines.compute-1.memoryMiB"),
    "machines.<name>.diskGiB": Row(131, "compute-1-root: size", at="machines.compute-1.diskGiB"),
    "machines.<name>.extraDisksGiB": Row([9], "storage-1-data-0: size", at="machines.storage-1.extraDisksGiB"),
    "machines.<name>.kernelArguments": Row(
        ["quiet"], "/srv/tftp/pxelinux.cfg/01-f8-75-a4-ac-02-00", at="machines.compute-0.kernelArguments"
    ),
    "bootImage.kernel.location": Row("http://mirror.example.com/other/kernel", "boot-image", OWN_BOOT),
    "bootImage.kernel.sha256": Row(SHA, "boot-image", OWN_BOOT),
    "bootImage.initramfs.location": Row("http://mirror.example.com/other/initramfs", "boot-image", OWN_BOOT),
    "bootImage.initramfs.sha256": Row(SHA, "boot-image", OWN_BOOT),
    "bootImage.rootfs.location": Row("http://mirror.example.com/other/rootfs", "boot-image", OWN_BOOT),
    "bootImage.rootfs.sha256": Row(SHA, "boot-image", OWN_BOOT),
    "bootImage.kernelArguments": Row(["quiet"], "/srv/tftp/pxelinux.cfg/01-f8-75-a4-ac-02-00"),
    "bootImage.reportsBack": Row(True, "/srv/tftp/pxelinux.cfg/01-f8-75-a4-ac-02-00"),
    "release.image": Row("registry.example.com/okd/scos-release:4.22.0-okd-scos.7", "mirror", drop("release.sources")),
    "release.version": Row("4.21.0-okd-scos.3", "mirror", NO_IMAGE),
    "release.digest": Row(f"sha256:{SHA}", "mirror"),
    "release.architecture": Row("aarch64", "mirror", may_be_refused=True),
    "release.sources": Row(["quay.io/okd/scos-release", "quay.io/okd/scos-content", "quay.io/okd/more"], CONFIG),
    "release.pullSecret": Row('{"auths": {"quay.io": {"auth": "dXNlcjp3b3Jk"}}}', "pull secret"),
    "release.trustedCertificates": Row([str(UPSTREAM_CA)], "boot-image"),
    "release.client.location": Row("https://example.com/oc.tar.gz", "fetch"),
    "release.client.sha256": Row(SHA, "fetch"),
    "release.engine": Row("oc-mirror", "mirror"),
    "release.attempts": Row(7, "mirror"),
    "release.additionalImages": Row([IMAGE], CONFIG),
    "release.operatorCatalogs.catalog": Row(
        [{"catalog": "quay.io/x/other:1"}], f"{RELEASE}/imageset-config.yaml", CATALOGS, at="release.operatorCatalogs"
    ),
    "release.operatorCatalogs.packages": Row(
        [{"catalog": "quay.io/x/catalog:1", "packages": ["strimzi"]}],
        f"{RELEASE}/imageset-config.yaml",
        CATALOGS,
        at="release.operatorCatalogs",
    ),
    "release.media": Row("/mnt/usb", "mirror"),
    "install.clusterNetwork": Row("10.64.0.0/14", CONFIG),
    "install.hostPrefix": Row(24, CONFIG),
    "install.serviceNetwork": Row("172.31.0.0/16", CONFIG),
    "install.sshKeys": Row([KEY], CONFIG),
    "install.proxy.http": Row("http://192.168.200.9:3128", CONFIG, PROXIED),
    "install.proxy.https": Row("http://192.168.200.9:3128", CONFIG, PROXIED),
    "install.proxy.noProxy": Row(["10.0.0.0/8"], CONFIG, PROXIED),
    "install.sourcePolicy": Row("AllowContactingSource", CONFIG),
    "install.schedulableControlPlane": Row(True, f"{MANIFESTS}/cluster-scheduler-02-config.yml"),
    "install.chrony": Row(False, chronyed("master")),
    "install.machineConfigPools": Row(False, f"{MANIFESTS}/99-okd-pool-infra.yaml"),
    "install.imageRegistry": Row("emptyDir", f"{MANIFESTS}/99-okd-image-registry.yaml"),
    "install.samplesOperator": Row("default", f"{MANIFESTS}/99-okd-samples.yaml"),
    "install.defaultCatalogSources": Row("default", f"{MANIFESTS}/99-okd-operator-hub.yaml"),
    "install.adminUser.enabled": Row(False, f"{MANIFESTS}/99-okd-admin-binding.yaml"),
    "install.adminUser.name": Row("root", f"{MANIFESTS}/99-okd-admin-binding.yaml"),
    "install.ingressCertificate": Row(False, f"{MANIFESTS}/99-okd-ingress-controller.yaml"),
    "install.releaseSignature": Row(False, "ignition"),
    "install.manifests": Row(None, f"{MANIFESTS}/mine.yaml"),
    "install.ingress.pool": Row("compute", "/etc/haproxy/haproxy.cfg"),
    "install.keepBootstrap": Row(True, "the machines of a cluster that stands"),
    "install.limits.bootMinutes": Row(21, "await-bootstrap"),
    "install.limits.apiMinutes": Row(31, "await-bootstrap"),
    "install.limits.bootstrapMinutes": Row(61, "await-bootstrap"),
    "install.limits.nodeMinutes": Row(46, "node-join"),
    "install.limits.drainMinutes": Row(16, "node-join"),
    "install.limits.installMinutes": Row(91, "await-install"),
    "checks.minimumSizes": Row(
        "warn", "warnings", both(put("checks.minimumSizes", "ignore"), put("pools.compute.memoryMiB", 4096))
    ),
    "checks.hostMemory": Row("ignore", "findings about the libvirt host"),
    "checks.hostDisk": Row("ignore", "findings about the libvirt host"),
}


PLANNED = [setting for setting, row in ROWS.items() if ": " not in row.shows]


def leaves() -> list[str]:
    """Every setting that is no section."""
    paths = [".".join(path) for path in settings_keys.walk(Settings)]
    return [path for path in paths if not any(other.startswith(f"{path}.") for other in paths)]


def config(*edits: Edit) -> Config:
    found = copy.deepcopy(stack_config(STACK))
    for edit in edits:
        edit(found)
    return found


def shown(settings: Config, what: str) -> Any:
    plan = Plan.of(Settings.parse(settings, STACK))
    if what.startswith("/"):
        return review.files(plan).get(what)
    return DOCUMENTS[what](plan)


def test_the_same_settings_show_the_same() -> None:
    for what in sorted({ROWS[setting].shows for setting in PLANNED}):
        assert shown(config(), what) == shown(config(), what), what


def refused_by_name(settings: Config, setting: str) -> str:
    """The report that names the setting and no other; empty where nothing is refused."""
    try:
        Settings.parse(settings, STACK)
    except SettingsError as error:
        return str(error) if {one.setting for one in error.problems} == {setting} else ""
    return ""


def test_every_setting_says_what_it_changes_and_no_other() -> None:
    assert sorted(ROWS) == sorted(leaves())


@pytest.mark.parametrize("setting", PLANNED)
def test_a_setting_changes_what_it_says(setting: str, tmp_path: Path) -> None:
    row = ROWS[setting]
    before, after = config(row.base), config(row.base)
    value = row.value
    if setting == "uplink.bridge":
        value = {"cidr": "10.20.0.0/24", "address": "10.20.0.40", "gateway": "10.20.0.1", "bridge": value}
    if setting == "install.manifests":
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "default"}}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(manifest))
        value = str(tmp_path)
    put(row.at or setting, value)(after)
    was = shown(before, row.shows)
    now = refused_by_name(after, setting) if row.may_be_refused else None
    now = now or shown(after, row.shows)
    assert was != now, f"{setting} changes nothing in {row.shows}"


IN_RESOURCES = {setting: row for setting, row in ROWS.items() if ": " in row.shows}


@pytest.fixture(scope="module")
def arguments(run: Runner) -> Callable[[str], tuple[Any, Any]]:
    """An argument of a resource by its `name: argument`, before and after all of these settings were changed at once.

    Each of them is the only one that is said to change its argument.
    """

    def plain(settings: Config) -> None:
        put("hypervisor.accelerator", "qemu")(settings)

    def changed(settings: Config) -> None:
        plain(settings)
        for setting, row in IN_RESOURCES.items():
            put(row.at or setting, row.value)(settings)

    runs = [run(STACK, edit) for edit in (plain, changed)]

    def both_of(what: str) -> tuple[Any, Any]:
        name, _, argument = what.partition(": ")
        if argument == "protect":
            return runs[0].requests[name].protect, runs[1].requests[name].protect
        first, second = (one.recording.named(name).inputs.get(argument) for one in runs)
        return first, second

    return both_of


def test_no_two_settings_claim_the_same_argument() -> None:
    claimed = [row.shows for row in IN_RESOURCES.values()]
    assert len(set(claimed)) == len(claimed)


@pytest.mark.parametrize("setting", IN_RESOURCES)
def test_a_setting_reaches_the_resource_that_it_says(setting: str, arguments: Callable[[str], tuple[Any, Any]]) -> None:
    was, now = arguments(IN_RESOURCES[setting].shows)
    assert was is not None
    assert was != now, f"{setting} does not reach {IN_RESOURCES[setting].shows}"
    assert json.dumps([was, now])
