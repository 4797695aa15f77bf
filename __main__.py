"""okd-libvirt: settings -> plan -> components -> outputs."""

import pulumi

from cluster import registry
from cluster.plan import Plan
from components.boot_image import BootImage
from components.config import settings
from components.htpasswd_user import HtpasswdUser
from components.hypervisor import Hypervisor, HypervisorArgs
from components.ignition import IgnitionConfigs, IgnitionConfigsArgs
from components.machine import Machine, MachineArgs
from components.mirror import Mirror, MirrorArgs
from components.network import Networks, NetworksArgs
from components.network_boot import NetworkBoot
from components.pki import Pki, PkiArgs
from components.services import Services, ServicesArgs
from components.services_host import ServicesHost, ServicesHostArgs
from components.ssh_access import SshAccess

plan = Plan.of(settings())
pki = Pki("pki", PkiArgs.of(plan))
registry_user = HtpasswdUser("registry-access", registry.USER)
admin = HtpasswdUser("admin-access", plan.settings.install.admin_user.name)
ssh = SshAccess("ssh")

hypervisor = Hypervisor("hypervisor", HypervisorArgs.of(plan))
on_libvirt = pulumi.ResourceOptions(providers=[hypervisor.provider])
networks = Networks("network", NetworksArgs.of(plan), on_libvirt)
services_host = ServicesHost(
    "services", ServicesHostArgs(plan=plan, networks=networks, ssh=ssh, hypervisor=hypervisor), on_libvirt
)
host = services_host.host
services = Services(
    "cluster-services", ServicesArgs(plan=plan, services_host=services_host, pki=pki, registry_user=registry_user)
)

mirror = Mirror("mirror", MirrorArgs(plan=plan, host=host, registry_user=registry_user), after=[services.ready])
boot_image = BootImage("boot-image", plan, host, mirror.release, after=[mirror.tools])
ignition = IgnitionConfigs(
    "ignition",
    IgnitionConfigsArgs(
        plan=plan, host=host, ssh=ssh, pki=pki, registry_user=registry_user, admin=admin, release=mirror.release
    ),
    after=[mirror.tools],
)

bootstrap = Machine(
    "bootstrap",
    MachineArgs(plan=plan, row=plan.bootstrap, hypervisor=hypervisor, networks=networks),
    pulumi.ResourceOptions(providers=[hypervisor.provider], depends_on=[boot_image.fetched, ignition.published]),
)
network_boot = NetworkBoot("bootstrap-boot", plan, host, bootstrap)

outputs = {
    **plan.outputs(),
    "kubeadminPassword": ignition.kubeadmin_password,
    "kubeconfig": ignition.kubeconfig,
    "adminPassword": admin.password,
    "registryPassword": registry_user.password,
    "caCertificate": pki.ca_certificate,
    "servicesHostKey": ssh.host_public_key,
    "servicesSshKey": ssh.login_private_key,
    "release": pulumi.Output.all(mirror.release, boot_image.digests).apply(plan.release_output),
    "certificateExpiry": pki.expiry,
    "ignitionExpiry": ignition.expiry,
    "networkBoot": network_boot.report,
}
for name, value in outputs.items():
    pulumi.export(name, value)
