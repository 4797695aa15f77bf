"""okd-libvirt: settings -> plan -> components -> outputs."""

import pulumi

from cluster import registry
from components import config
from components.boot_image import BootImage
from components.htpasswd_user import HtpasswdUser
from components.hypervisor import Hypervisor, HypervisorArgs
from components.ignition import IgnitionConfigs, IgnitionConfigsArgs
from components.installation import Installation, InstallationArgs
from components.mirror import Mirror, MirrorArgs
from components.network import Networks, NetworksArgs
from components.pki import Pki, PkiArgs
from components.services import Services, ServicesArgs
from components.services_host import ServicesHost, ServicesHostArgs
from components.ssh_access import SshAccess

plan, facts = config.planned()
pki = Pki("pki", PkiArgs.of(plan))
registry_user = HtpasswdUser("registry-access", registry.USER)
admin = HtpasswdUser("admin-access", plan.settings.install.admin_user.name)
ssh = SshAccess("ssh")

hypervisor = Hypervisor("hypervisor", HypervisorArgs.of(plan, facts))
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

installation = Installation(
    "installation",
    InstallationArgs(
        plan=plan,
        hypervisor=hypervisor,
        networks=networks,
        services_host=services_host,
        ssh=ssh,
        ignition_digest=ignition.digest,
    ),
    after=[boot_image.fetched, ignition.published],
    opts=on_libvirt,
)

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
    "bootstrap": installation.bootstrap,
    "installation": installation.installation,
}
for name, value in outputs.items():
    pulumi.export(name, value)
