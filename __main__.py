"""okd-libvirt: settings -> plan -> components -> outputs."""

import pulumi

from cluster.plan import Plan
from components.boot_image import BootImage
from components.config import settings
from components.host_service import HostService, HostServiceArgs
from components.hypervisor import Hypervisor, HypervisorArgs
from components.machine import Machine, MachineArgs
from components.network import Networks, NetworksArgs
from components.network_boot import NetworkBoot
from components.pki import Pki, PkiArgs
from components.registry_access import RegistryAccess
from components.services_host import ServicesHost, ServicesHostArgs
from components.smoke_check import SmokeCheck, SmokeCheckArgs
from components.ssh_access import SshAccess

plan = Plan.of(settings())
pki = Pki("pki", PkiArgs.of(plan))
access = RegistryAccess("registry-access")
ssh = SshAccess("ssh")

hypervisor = Hypervisor("hypervisor", HypervisorArgs.of(plan))
on_libvirt = pulumi.ResourceOptions(providers=[hypervisor.provider])
networks = Networks("network", NetworksArgs.of(plan), on_libvirt)
services_host = ServicesHost(
    "services", ServicesHostArgs(plan=plan, networks=networks, ssh=ssh, hypervisor=hypervisor), on_libvirt
)

host = services_host.host
values = {
    "ca-certificate": pki.ca_certificate,
    "registry-certificate": pki.registry_certificate,
    "registry-key": pki.registry_key,
    "registry-htpasswd": access.htpasswd,
}
services = {
    bundle.service: HostService(
        bundle.service, HostServiceArgs(bundle=bundle, host=host, values=values), after=services_host.prepared
    )
    for bundle in plan.bundles
}
boot_image = BootImage("boot-image", plan, host, after=services_host.prepared)
smoke = SmokeCheck(
    "smoke-check",
    SmokeCheckArgs(
        plan=plan,
        host=host,
        registry_password=access.password,
        ca_certificate=pki.ca_certificate,
        service_digests={name: service.digest for name, service in services.items()},
    ),
    after=[boot_image.fetched, *(service.delivered for service in services.values())],
)

bootstrap = Machine(
    "bootstrap",
    MachineArgs(plan=plan, row=plan.bootstrap, hypervisor=hypervisor, networks=networks),
    pulumi.ResourceOptions(providers=[hypervisor.provider], depends_on=[smoke.passed]),
)
network_boot = NetworkBoot("bootstrap-boot", plan, host, bootstrap)

pulumi.export("apiUrl", plan.api_url)
pulumi.export("registryUrl", plan.registry_url)
pulumi.export("registryUsername", access.user)
pulumi.export("registryPassword", access.password)
pulumi.export("caCertificate", pki.ca_certificate)
pulumi.export("servicesAddress", str(plan.services_address))
pulumi.export("servicesUplinkAddress", str(plan.settings.uplink.address))
pulumi.export("servicesHostKey", ssh.host_public_key)
pulumi.export("servicesSshKey", ssh.login_private_key)
pulumi.export("machines", plan.machines_output())
pulumi.export("certificateExpiry", pki.expiry)
pulumi.export("networkBoot", network_boot.report)
