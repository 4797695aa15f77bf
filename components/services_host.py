"""The services host: one virtual machine between the uplink and the cluster network.

Owns its base image volume, root volume, registry data volume, cloud-init seed and domain, and the first commands on
it: the host agent, readiness and packages, systemd's files, and the data volume's file system. Does not own the
services it runs. The data volume outlives the domain: a rebuilt services host gets it back with its content.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_libvirt as libvirt
from pulumi_command import remote

from cluster import limits, preflight
from cluster.domain_xslt import Backed
from cluster.footprint import ROOT, base_volume
from cluster.installation import console_log
from cluster.plan import Plan
from cluster.preflight.facts import HostFacts
from components.domain import DomainArgs, Nic, domain
from components.host_command import Host, ended_within, host_command
from components.host_service import HostService, HostServiceArgs
from components.hypervisor import Hypervisor
from components.image import image_digest
from components.machine import GIB
from components.network import Networks
from components.ssh_access import SshAccess

# The release's tools are some of the largest programs there are: a cache that does not hold them is emptied once every
# few seconds, and everything is translated again.
TRANSLATION_CACHE_MIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ServicesHostArgs:
    """What the services host is made of and where it stands; `agent` is the host agent's installer, a shell script."""

    plan: Plan
    facts: HostFacts
    networks: Networks
    ssh: SshAccess
    hypervisor: Hypervisor
    agent: str


class ServicesHost(pulumi.ComponentResource):
    """`host` says how to run commands on it, once `agent` is complete.

    Once `prepared` is complete, services may be delivered; `stored` completes once the data volume is mounted.
    """

    host: Host
    domain: pulumi.Resource
    agent: pulumi.Resource
    prepared: list[pulumi.Resource]
    stored: pulumi.Resource

    def __init__(self, name: str, args: ServicesHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:ServicesHost", name, None, opts)
        plan, names = args.plan, args.plan.names
        settings = plan.settings.services
        seed = self._seed(name, args)
        base = base_volume(plan, image_digest(settings.image.location, settings.image.sha256))
        form = preflight.image_form(plan, args.facts, base)
        backed = Backed(names.volume(settings.name, ROOT), base, form)
        volumes = self._volumes(name, args, seed, backed)
        machine = domain(
            f"{name}-domain",
            DomainArgs(
                domain_name=names.domain(settings.name),
                domain_type=args.hypervisor.domain_type,
                cpus=settings.cpus,
                memory_mib=settings.memory_mib,
                nics=[
                    Nic(mac=names.cluster_mac, network_id=args.networks.cluster_id),
                    Nic(
                        mac=names.uplink_mac,
                        network_id=args.networks.uplink_id,
                        bridge=args.networks.uplink_bridge,
                    ),
                ],
                volumes=volumes,
                boot=["hd"],
                console_log=console_log(plan, settings.name),
                pool_path=args.hypervisor.pool_path,
                form=args.hypervisor.forms.form(name),
                backed=[backed],
                cloud_init=seed,
                translation_cache_mib=TRANSLATION_CACHE_MIB,
            ),
            self,
        )
        self.domain = machine
        self.host = Host(
            connection=remote.ConnectionArgs(
                host=str(plan.settings.uplink.address),
                user="okd",
                private_key=args.ssh.login_private_key,
                host_key=args.ssh.host_public_key,
                # Refused once every five seconds at the most while the host boots.
                dial_error_limit=int(limits.SERVICES_ANSWER.seconds / 5),
                per_dial_timeout=int(limits.SERVICES_LOGIN.seconds),
            ),
            identity=machine.id,
        )
        self.agent, self.prepared, self.stored = self._prepare(name, args)
        self.register_outputs({"identity": self.host.identity})

    def _volumes(
        self, name: str, args: ServicesHostArgs, seed: libvirt.CloudInitDisk, backed: Backed
    ) -> list[libvirt.Volume]:
        settings, names = args.plan.settings.services, args.plan.names
        base = libvirt.Volume(
            f"{name}-base",
            name=backed.base,
            pool=args.hypervisor.pool,
            source=settings.image.location,
            # The provider tells a qcow2 image by itself, and takes everything else for whatever is said here.
            format=backed.base_format,
            # A moved file with the same content is the same image.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["source"]),
        )
        # cloud-init applies a seed once in a disk's life: a new seed takes a new disk.
        root = libvirt.Volume(
            f"{name}-root",
            name=backed.volume,
            pool=args.hypervisor.pool,
            base_volume_id=base.id,
            format="qcow2",
            size=settings.disk_gib * GIB,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, replace_with=[base, seed]),
        )
        data = libvirt.Volume(
            f"{name}-registry-data",
            name=names.volume(settings.name, "registry"),
            pool=args.hypervisor.pool,
            format="qcow2",
            size=settings.registry_gib * GIB,
            opts=pulumi.ResourceOptions(parent=self, protect=settings.protect_registry),
        )
        return [root, data]

    def _seed(self, name: str, args: ServicesHostArgs) -> libvirt.CloudInitDisk:
        files = pulumi.Output.all(
            login=args.ssh.login_public_key,
            host_private=args.ssh.host_private_key,
            host_public=args.ssh.host_public_key,
        ).apply(lambda keys: args.plan.cloud_init(keys["login"], keys["host_private"], keys["host_public"]))
        user_data: pulumi.Output[str] = pulumi.Output.secret(files.apply(lambda seed: seed.user_data))
        return libvirt.CloudInitDisk(
            f"{name}-seed",
            name=args.plan.names.volume(args.plan.settings.services.name, "seed.iso"),
            pool=args.hypervisor.pool,
            user_data=user_data,
            meta_data=pulumi.Output.unsecret(files.apply(lambda seed: seed.meta_data)),
            network_config=pulumi.Output.unsecret(files.apply(lambda seed: seed.network_config)),
            # Any change makes a new disk under the same name.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _prepare(
        self, name: str, args: ServicesHostArgs
    ) -> tuple[pulumi.Resource, list[pulumi.Resource], pulumi.Resource]:
        plan = args.plan
        agent = remote.Command(
            f"{name}-agent",
            connection=self.host.connection,
            create="sudo /bin/sh -s",
            stdin=args.agent,
            triggers=[self.host.identity],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=ended_within(limits.SERVICES_ANSWER.seconds)),
        )
        prepared = host_command(
            f"{name}-prepare",
            self.host,
            "prepare",
            json.dumps(plan.host_document(), indent=1),
            parent=self,
            depends_on=[agent],
            takes=limits.FIRST_BOOT.seconds + limits.PACKAGES.seconds,
        )
        # Beside the first boot's end: nothing of it touches these files, and no daemon starts by them.
        units = HostService(
            "units",
            HostServiceArgs(bundle=plan.units, host=self.host),
            pulumi.ResourceOptions(parent=self),
            after=[agent],
        )
        stored = host_command(
            f"{name}-storage",
            self.host,
            "storage",
            json.dumps(plan.storage_document(), indent=1),
            parent=self,
            depends_on=[prepared, units.delivered],
            takes=limits.DEVICE.seconds + limits.UNIT.seconds,
        )
        return agent, [prepared, units.delivered], stored
