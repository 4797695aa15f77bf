"""The installation: what the host agent's verbs are told about machines that boot, join, leave and are looked at.

Owns those documents, derived from the machine table. Does not own the verbs (scripts/) nor the machines (components/).
UUIDs of domains join late, where the documents are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster import boot, catalogs, ingress, load_balancer, nodes
from cluster.ignition import api, publication
from cluster.limits import HANDOVER
from cluster.machines import Machine
from cluster.site import MACHINE_CONFIG_PORT, Site

# libvirt's own log directory: in the storage pool a log would be taken for a volume.
CONSOLE_LOGS = "/var/log/libvirt/qemu"


def row(machine: Machine) -> dict[str, str]:
    """A machine as every verb knows it."""
    return {
        "name": machine.name,
        "fqdn": machine.fqdn,
        "role": machine.role,
        "address": str(machine.address),
        "mac": machine.mac,
    }


def members(site: Site) -> tuple[Machine, ...]:
    """The machines that become nodes: all but the bootstrap."""
    return (*site.of_role("control-plane"), *site.of_role("compute"))


def console_log(site: Site, machine: str) -> str:
    """Where the libvirt host keeps what a machine prints on its serial console."""
    return f"{CONSOLE_LOGS}/{site.names.domain(machine)}.console.log"


def declared(site: Site) -> dict[str, Any]:
    """What `machines` reads: who may be a node."""
    return {"machines": [row(machine) for machine in members(site)]}


def compute_config(site: Site) -> dict[str, Any]:
    """What `worker-config` reads: with other compute machines it runs again."""
    names = [machine.name for machine in site.of_role("compute")]
    return {"api": api(site), "publish": publication(site), "machines": names}


def bootstrap(site: Site, uuids: Mapping[str, str]) -> dict[str, Any]:
    """What `await-bootstrap` reads; `uuids` of the domains by machine."""
    limits = site.settings.install.limits
    machines = (*site.of_role("bootstrap"), *site.of_role("control-plane"))
    documents = {machine.name: boot.network_boot(site, machine) | {"uuid": uuids[machine.name]} for machine in machines}
    return {
        "api": api(site),
        "bootstrap": documents.pop(site.of_role("bootstrap")[0].name),
        "controlPlane": list(documents.values()),
        "machineConfig": {"port": MACHINE_CONFIG_PORT},
        "limits": {
            "bootMinutes": limits.boot_minutes,
            "apiMinutes": limits.api_minutes,
            "bootstrapMinutes": limits.bootstrap_minutes,
        },
        "consoleLogs": {machine.name: console_log(site, machine.name) for machine in machines},
    }


def departure_minutes(site: Site) -> float:
    """How long the departure waits for a control plane that does without the bootstrap."""
    return max(site.settings.install.limits.bootstrap_minutes, HANDOVER.seconds / 60)


def departure(site: Site, uuid: str) -> dict[str, Any]:
    """What `bootstrap-leave` reads; `uuid` of the bootstrap's domain."""
    without = site.after_bootstrap()
    return {
        "api": api(site),
        "bootstrap": row(site.of_role("bootstrap")[0]) | {"uuid": uuid},
        "controlPlane": [row(machine) for machine in site.of_role("control-plane")],
        "loadBalancer": {
            "socket": site.host_os.load_balancer_socket,
            "backends": [load_balancer.API, load_balancer.MACHINE_CONFIG],
        },
        "bundle": load_balancer.bundle(without).document({}, {}),
        "powerOff": True,
        "limitMinutes": departure_minutes(site),
    }


def membership(site: Site, machine: Machine, uuid: str) -> dict[str, Any]:
    """What `node-join` reads, and `node-leave` when the machine goes; `uuid` of its domain."""
    limits = site.settings.install.limits
    given = nodes.given(site, machine)
    return {
        "api": api(site),
        "machine": boot.network_boot(site, machine) | {"uuid": uuid},
        **({"node": given} if given else {}),
        "limitMinutes": limits.node_minutes,
        "drainMinutes": limits.drain_minutes,
        "consoleLog": console_log(site, machine.name),
    }


def completion(site: Site, release: Mapping[str, Any]) -> dict[str, Any]:
    """What `await-install` reads; `release` is what `mirror` reports.

    Compute machines that come and go later are no reason to wait again.
    """
    moved = ingress.moved(site)
    hub = {"disableAllDefaultSources": True} if site.settings.install.default_catalog_sources == "disabled" else None
    return {
        "api": api(site),
        "machines": [row(machine) for machine in site.of_role("control-plane")],
        "limitMinutes": site.settings.install.limits.install_minutes,
        "operatorHub": hub,
        **({"ingress": moved} if moved else {}),
        **({"resources": found} if (found := catalogs.objects(site, release)) else {}),
    }


def status(site: Site) -> dict[str, Any]:
    """What `cluster-status` reads."""
    host_os = site.host_os
    daemons = {
        "firewall": host_os.firewall,
        "time": host_os.time,
        "dns": host_os.dns,
        "dhcp": host_os.dhcp,
        "boot": host_os.tftp,
        "http": host_os.http,
        "registry": host_os.registry,
        "load-balancer": host_os.load_balancer,
    }
    return {
        "api": api(site),
        "machines": [boot.network_boot(site, machine) for machine in site.machines],
        "units": {name: daemon.unit for name, daemon in daemons.items()},
    }


def power(site: Site) -> dict[str, Any]:
    """What `cluster-stop` and `cluster-start` read."""
    return {
        "api": api(site),
        "machines": [row(machine) for machine in members(site)],
        "limitMinutes": site.settings.install.limits.node_minutes,
    }
