"""One libvirt domain, made the same way for the services host and for every machine.

Owns what all domains of a stack have in common: type and CPU model, serial console, explicit names, and the list of
inputs whose change replaces the domain because the provider would silently ignore it. Does not own volumes or networks,
nor what becomes of the definition on its way to libvirt (cluster/domain_xslt.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_libvirt as libvirt

from cluster.changes.form import Form
from cluster.domain_xslt import Backed, stylesheet
from cluster.limits import LIBVIRT_OBJECT

# Emulation caches translated code beside the guest's memory: uncapped, a 1 GiB guest grows to 1.5 GiB.
TRANSLATION_CACHE_MIB = 128

# The provider has limits of its own for domains alone; it warns of any for other objects.
PATIENCE = f"{LIBVIRT_OBJECT.seconds:.0f}s"

# Neither force-new nor handled by the provider's update (terraform-provider-libvirt 0.8.1, resource_libvirt_domain.go).
IGNORED_IN_PLACE = [
    "bootDevices",
    "cloudinit",
    "consoles",
    "cpu",
    "disks",
    "machine",
    "networkInterfaces",
    "xml",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Nic:
    """One interface: on a libvirt network by id, or on a bridge of the host by name."""

    mac: str
    network_id: pulumi.Input[str] | None = None
    bridge: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainArgs:
    """`volumes` in disk order (vda, vdb, …); `memory_mib` in MiB; `boot` lists libvirt boot devices in order.

    `translation_cache_mib` counts where the domain is emulated. `pool_path` is where the volumes are, `backed` those of
    them that store only what differs from a base.
    """

    domain_name: str
    domain_type: str
    cpus: int
    memory_mib: int
    nics: Sequence[Nic]
    volumes: Sequence[libvirt.Volume]
    boot: Sequence[str]
    console_log: str
    pool_path: str
    form: Form
    backed: Sequence[Backed] = ()
    autostart: bool = True
    translation_cache_mib: int = TRANSLATION_CACHE_MIB
    cloud_init: libvirt.CloudInitDisk | None = None


def domain(name: str, args: DomainArgs, parent: pulumi.Resource) -> libvirt.Domain:
    """The domain `name` under `parent`; replaced whenever one of its disks, networks or seeds is."""
    seed = [args.cloud_init] if args.cloud_init is not None else []
    return libvirt.Domain(
        name,
        name=args.domain_name,
        type=args.domain_type,
        machine=args.form.machine,
        cpu={"mode": "host-passthrough" if args.domain_type == "kvm" else "maximum"},
        vcpu=args.cpus,
        memory=args.memory_mib,
        autostart=args.autostart,
        boot_devices=[{"devs": list(args.boot)}],
        disks=[{"volume_id": volume.id} for volume in args.volumes],
        cloudinit=args.cloud_init.id if args.cloud_init is not None else None,
        network_interfaces=[
            {"network_id": nic.network_id, "bridge": nic.bridge, "mac": nic.mac.upper()} for nic in args.nics
        ],
        graphics={"type": "vnc", "listen_type": "address", "listen_address": "127.0.0.1", "autoport": True},
        video={"type": "vga"},
        consoles=[{"type": "pty", "target_port": "0", "target_type": "serial"}],
        xml={
            "xslt": args.form.xslt
            or stylesheet(
                domain_type=args.domain_type,
                console_log=args.console_log,
                pool_path=args.pool_path,
                translation_cache_mib=args.translation_cache_mib,
                backed=args.backed,
                seed=args.cloud_init is not None,
            ),
        },
        opts=pulumi.ResourceOptions(
            parent=parent,
            delete_before_replace=True,
            replace_on_changes=IGNORED_IN_PLACE,
            replace_with=[*args.volumes, *seed],
            custom_timeouts=pulumi.CustomTimeouts(create=PATIENCE, delete=PATIENCE),
        ),
    )
