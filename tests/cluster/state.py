"""The state of a stack as the engine hands it to the program: what was made of a plan, without an engine.

A test with the real engine (tests/components/test_preview.py) holds the program to the same words.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from cluster import ingress, installation
from cluster.before import Before
from cluster.host_files import dump
from cluster.plan import Plan
from tests.conftest import UPSTREAM_CA

GIB = 1024**3
SECRET = "hunter2hunter2"
IMAGE = "0" * 64
RELEASE = {"version": "4.19.0-okd-scos.0", "digest": "sha256:d", "release": "mirror@sha256:d", "signature": None}
Resource = dict[str, Any]


def resources(plan: Plan) -> list[Resource]:
    """The resources of a stack, numbers as floats and secrets in the clear, as the engine hands them over."""
    found: list[Resource] = json.loads(json.dumps(list(_resources(plan))), parse_int=float)
    return found


def outputs(plan: Plan, *, installed: bool = True) -> dict[str, Any]:
    """The stack's outputs after an update that came to its end."""
    rows = [machine.output() for machine in plan.members]
    written = plan.outputs() | {
        "bootstrap": {"state": "complete"} if installed else {},
        "installation": {"installed": installed, "machines": rows, "ingress": ingress.of(plan).pool},
        "registryPassword": SECRET,
    }
    found: dict[str, Any] = json.loads(json.dumps(written), parse_int=float)
    return found


def standing(was: Plan, now: Plan, *, installed: bool = True) -> Plan:
    """`now` as planned on top of a stack that was brought up as `was`."""
    if installed:
        was = was.after_bootstrap()
    told = outputs(was, installed=True) if installed else {}
    return dataclasses.replace(now, before=Before.of(told, resources(was)))


def _resources(plan: Plan) -> Iterator[Resource]:
    settings, names = plan.settings, plan.names
    services, uplink = settings.services, settings.uplink
    yield _one("pulumi:pulumi:Stack", "stack", {"registryPassword": SECRET})
    yield _one("random:index/randomPassword:RandomPassword", "registry-access-password", {"result": SECRET})
    yield _one("pulumi:providers:libvirt", "hypervisor-libvirt", {"uri": settings.hypervisor.uri})
    path = str(settings.hypervisor.pool_path)
    yield _libvirt("pool", "Pool", "hypervisor-pool", {"name": names.pool, "target": {"path": path}})
    yield _libvirt("network", "Network", "network-cluster", {"name": "c", "mtu": settings.network.mtu})
    if uplink.bridge is None:
        yield _libvirt("network", "Network", "network-uplink", {"name": "u", "addresses": [str(uplink.cidr)]})
    yield _volume("services-base", names.volume(services.name, f"base-{IMAGE[:12]}"), None)
    yield _volume("services-root", names.volume(services.name, "root"), services.disk_gib)
    yield _volume("services-registry-data", names.volume(services.name, "registry"), services.registry_gib)
    seed = plan.cloud_init("ssh-ed25519 a", SECRET, "ssh-ed25519 b")
    texts = {"userData": seed.user_data, "metaData": seed.meta_data, "networkConfig": seed.network_config}
    yield _libvirt("cloudInitDisk", "CloudInitDisk", "services-seed", texts)
    cards = [{"mac": names.cluster_mac.upper()}, {"mac": names.uplink_mac.upper(), "bridge": uplink.bridge or ""}]
    sizes = (services.cpus, services.memory_mib)
    yield _domain("okd:index:ServicesHost", "services", names.domain(services.name), sizes, cards, 2)
    for machine in (*plan.bootstrap_machines, *plan.members):
        disks = [machine.disk_gib, *machine.extra_disks_gib]
        kinds = ["root", *(f"data-{index}" for index, _ in enumerate(machine.extra_disks_gib))]
        for kind, size in zip(kinds, disks, strict=True):
            yield _volume(f"{machine.name}-{kind}", names.volume(machine.name, kind), size)
        card = [{"mac": machine.mac.upper()}]
        sizes = (machine.cpus, machine.memory_mib)
        yield _domain("okd:index:Machine", machine.name, names.domain(machine.name), sizes, card, len(disks))
    yield from _commands(plan)


def _commands(plan: Plan) -> Iterator[Resource]:
    for bundle in plan.bundles:
        values = {file.value: "made late\n" for file in bundle.files if file.value and not file.secret}
        hashes = {file.value: "1" * 64 for file in bundle.files if file.value}
        yield _command(f"{bundle.service}-bundle", "deliver", dump(bundle.document(values, hashes)))
    known = {name: "1" * 64 for name in ("pull-secret", *plan.ignition_secrets)}
    told = {
        "installation-declared": ("machines", installation.declared(plan)),
        "mirror-release": ("mirror", plan.mirror(_Any())),
        "boot-image-fetch": ("boot-image", plan.boot_image(RELEASE, {"pull-secret": "b" * 64})),
        "ignition-set": (
            "ignition",
            plan.ignition(
                release=RELEASE,
                ca_certificate=UPSTREAM_CA.read_text(),
                login_key="ssh-ed25519 login",
                hashes=known,
                generation="first",
                cluster="0",
            ),
        ),
        "installation-complete": ("await-install", installation.completion(plan, RELEASE)),
        # What these hold is secret.
        "registry-secrets": ("secrets registry", {"registry-key": SECRET}),
        "smoke-check-run": ("smoke", {"machines": [], "registry": {"password": SECRET}}),
    }
    for machine in plan.members:
        told[f"{machine.name}-join"] = ("node-join", installation.membership(plan, machine, "uuid"))
    for name, (verb, document) in told.items():
        yield _command(name, verb, json.dumps(document, indent=1))


class _Any(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "1" * 64


def _one(kind: str, name: str, outputs: dict[str, Any], parents: str = "") -> Resource:
    return {"urn": f"urn:pulumi:dev::okd-libvirt::{parents}{kind}::{name}", "type": kind, "outputs": outputs}


def _libvirt(module: str, kind: str, name: str, outputs: dict[str, Any], parents: str = "") -> Resource:
    return _one(f"libvirt:index/{module}:{kind}", name, {"id": f"{name}-id", **outputs}, parents)


def _volume(name: str, libvirt_name: str, gib: int | None) -> Resource:
    size = {} if gib is None else {"size": gib * GIB}
    return _libvirt("volume", "Volume", name, {"name": libvirt_name, **size})


def _domain(
    parent: str, name: str, libvirt_name: str, sizes: tuple[int, int], cards: list[dict[str, str]], disks: int
) -> Resource:
    outputs = {
        "name": libvirt_name,
        "type": "qemu",
        "vcpu": sizes[0],
        "memory": sizes[1],
        "networkInterfaces": cards,
        "disks": [{"volumeId": str(index)} for index in range(disks)],
    }
    return _libvirt("domain", "Domain", f"{name}-domain", outputs, f"{parent}$")


def _command(name: str, verb: str, document: str) -> Resource:
    return _one("command:remote:Command", name, {"stdin": f"@okd-host {verb}\n{document}", "stdout": ""})
