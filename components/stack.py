"""The stack: which component is given what, and what the stack tells.

Owns the order in which components are declared and the names of the outputs. Does not own what any of them makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pulumi

from cluster import registry
from components import agent, config
from components.boot_image import BootImage
from components.htpasswd_user import HtpasswdUser
from components.hypervisor import Hypervisor, HypervisorArgs
from components.ignition import IgnitionConfigs, IgnitionConfigsArgs
from components.installation import Installation, InstallationArgs
from components.mirror import Mirror, MirrorArgs
from components.network import Networks, NetworksArgs
from components.pki import Pki, PkiArgs
from components.providers import PROVIDERS, Providers
from components.services import Services, ServicesArgs
from components.services_host import ServicesHost, ServicesHostArgs
from components.ssh_access import SshAccess


async def built(early: Providers | None, left: Mapping[str, Any]) -> dict[str, Any]:
    """Plan the stack and declare its components; its outputs by name.

    `early` are the providers where they could be declared before anything was planned, `left` the resources that the
    last update left, by URN.

    Raises:
        pulumi.RunError: one report of everything that is wrong; nothing but `early` has been declared by then.
    """
    (plan, facts, forms), packed = await asyncio.gather(config.planned(left), asyncio.to_thread(agent.installer))
    providers = early or Providers(PROVIDERS)
    given = pulumi.ResourceOptions(providers=providers.every)
    hypervisor = Hypervisor("hypervisor", HypervisorArgs.of(plan, facts, forms))
    on_libvirt = pulumi.ResourceOptions(providers=[*providers.every, hypervisor.provider])
    # The libvirt provider waits for it, and everything else for the libvirt plugin.
    await hypervisor.urn.future()
    await _heard()
    pki = Pki("pki", PkiArgs.of(plan), given)
    registry_user = HtpasswdUser("registry-access", registry.USER, given)
    admin = HtpasswdUser("admin-access", plan.settings.install.admin_user.name, given)
    await _heard()
    ssh = SshAccess("ssh", given)
    networks = Networks("network", NetworksArgs.of(plan), on_libvirt)
    await _heard()
    services_host = ServicesHost(
        "services",
        ServicesHostArgs(plan=plan, facts=facts, networks=networks, ssh=ssh, hypervisor=hypervisor, agent=packed),
        on_libvirt,
    )
    host = services_host.host
    services = Services(
        "cluster-services",
        ServicesArgs(plan=plan, services_host=services_host, pki=pki, registry_user=registry_user),
        given,
    )
    await _heard()
    mirror = Mirror(
        "mirror",
        MirrorArgs(
            plan=plan,
            host=host,
            agent=services_host.agent,
            served=services.delivered,
            registry_user=registry_user,
        ),
        after=[services.ready],
        opts=given,
    )
    boot_image = BootImage("boot-image", plan, host, mirror, after=[mirror.tools], opts=given)
    await _heard()
    ignition = IgnitionConfigs(
        "ignition",
        IgnitionConfigsArgs(
            plan=plan,
            host=host,
            stored=services_host.stored,
            ssh=ssh,
            pki=pki,
            registry_user=registry_user,
            admin=admin,
            release=mirror.release,
        ),
        after=[mirror.tools],
        opts=given,
    )
    await _heard()
    installation = Installation(
        "installation",
        InstallationArgs(
            plan=plan,
            hypervisor=hypervisor,
            networks=networks,
            services_host=services_host,
            ssh=ssh,
            ignition_digest=ignition.digest,
            release=mirror.release,
        ),
        after=[boot_image.fetched, ignition.published],
        opts=on_libvirt,
    )
    return {
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


async def _heard() -> None:
    """Let the engine hear of what is declared so far: it works on that while the program goes on declaring."""
    await asyncio.sleep(0)
