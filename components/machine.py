"""One machine of the cluster.

Owns its domain and volumes. Boots from its disk first and from the network when the disk holds nothing bootable, so
nothing has to be flipped after the installation. Does not own what it boots or when it counts as ready.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_libvirt as libvirt

from cluster.installation import console_log
from cluster.machines import Machine as MachineRow
from cluster.plan import Plan
from components.domain import DomainArgs, Nic, domain
from components.hypervisor import Hypervisor
from components.network import Networks

GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineArgs:
    """`row` is the machine's row of the plan's table."""

    plan: Plan
    row: MachineRow
    hypervisor: Hypervisor
    networks: Networks


class Machine(pulumi.ComponentResource):
    """A domain on the cluster network. `uuid` is libvirt's, which the machine itself reads from its firmware."""

    row: MachineRow
    uuid: pulumi.Output[str]

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Machine", name, None, opts)
        row, names, hypervisor = args.row, args.plan.names, args.hypervisor
        child = pulumi.ResourceOptions(parent=self, delete_before_replace=True)
        volumes = [
            libvirt.Volume(
                f"{name}-{kind}",
                name=names.volume(row.name, kind),
                pool=hypervisor.pool,
                format="qcow2",
                size=size * GIB,
                opts=child,
            )
            for kind, size in row.disks.items()
        ]
        machine = domain(
            f"{name}-domain",
            DomainArgs(
                domain_name=names.domain(row.name),
                domain_type=hypervisor.domain_type,
                cpus=row.cpus,
                memory_mib=row.memory_mib,
                nics=[Nic(mac=row.mac, network_id=args.networks.cluster_id)],
                volumes=volumes,
                boot=["hd", "network"],
                console_log=console_log(args.plan, row.name),
                pool_path=hypervisor.pool_path,
                form=hypervisor.forms.form(name),
                # It must not come back on the libvirt host's next start, once it has done its part.
                autostart=row.role != "bootstrap",
            ),
            self,
        )
        self.row, self.uuid = row, machine.id
        self.register_outputs({"uuid": self.uuid})
