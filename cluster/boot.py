"""Network boot: which loader a machine gets, and its profile.

Owns the loaders' files, one PXELINUX profile and one iPXE script a machine, matched by MAC, and where the boot image
lies and comes from. Only the first stage goes over TFTP. Does not own the boot image's content, nor ignition configs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster import consoles, limits, mirror
from cluster.host_files import Bundle, Health, HostFile
from cluster.host_os import BOOT_LOG, HTTP_ROOT, LEASES, REPORT_LOG, TOOLS
from cluster.machines import Machine
from cluster.render import render
from cluster.site import Site
from cluster.units import PROBE_SECONDS

SCRIPTS, IMAGES = "boot", "images"


def boot_files(site: Site) -> dict[str, str]:
    """The boot file by kind of client: iPXE speaks HTTP, everything else takes PXELINUX with HTTP over TFTP."""
    return {"pxe": "lpxelinux.0", "ipxe": f"{site.http_url}/{SCRIPTS}/boot.ipxe"}


def image_document(site: Site, release: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    """What `boot-image` reads; `release` is what `mirror` reports. Without files the release's installer is asked.

    `hashes` are SHA-256 (hex) by the secrets' names.
    """
    image = site.settings.boot_image
    given = {"kernel": image.kernel, "initramfs": image.initramfs, "rootfs": image.rootfs}
    files = [
        {"url": file.location, "sha256": file.sha256, "path": f"{IMAGES}/{name}"}
        for name, file in given.items()
        if file is not None
    ]
    return {
        "installer": f"{TOOLS}/openshift-install",
        "architecture": site.settings.release.architecture,
        "version": release["version"],
        "root": HTTP_ROOT,
        "files": files or None,
        "release": release["digest"],
    } | mirror.downloads(site, hashes)


def kernel_arguments(site: Site, machine: Machine) -> tuple[str, ...]:
    """A machine's kernel arguments, without `initrd`, which each boot loader writes its own way."""
    image, url = site.settings.boot_image, site.http_url
    arguments = [
        "ip=dhcp",
        "rd.neednet=1",
        "coreos.inst.install_dev=/dev/vda",
        f"coreos.inst.ignition_url={url}/ignition/{machine.ignition}",
        "ignition.firstboot",
        "ignition.platform.id=metal",
        f"ignition.config.url={url}/{SCRIPTS}/{consoles.live_config(machine)}",
    ]
    if _has_rootfs(site):
        arguments.append(f"coreos.live.rootfs_url={url}/{IMAGES}/rootfs")
    if image.reports_back:
        arguments.append(f"okd.report={url}/report")
    return (*arguments, *consoles.added(site, machine), *image.kernel_arguments, *machine.kernel_arguments)


def _has_rootfs(site: Site) -> bool:
    image = site.settings.boot_image
    return image.kernel is None or image.rootfs is not None


def network_boot(site: Site, machine: Machine) -> dict[str, Any]:
    """What a machine must get on its way up, as the host agent's verbs read it, without the domain's UUID."""
    services, host_os = str(site.services_address), site.host_os
    return {
        "name": machine.name,
        "fqdn": machine.fqdn,
        "role": machine.role,
        "mac": machine.mac,
        "address": str(machine.address),
        "reportsBack": site.settings.boot_image.reports_back,
        "expected": {
            "hostname": machine.fqdn,
            "address": str(machine.address),
            "router": str(site.router),
            "dns": services,
            "ntp": services,
            "domain": site.cluster_domain,
            "nextserver": services,
            "bootfile": boot_files(site),
            "kernel": f"/{IMAGES}/kernel",
            "initramfs": f"/{IMAGES}/initramfs",
            "rootfs": f"/{IMAGES}/rootfs" if _has_rootfs(site) else None,
            "ignition": f"/ignition/{machine.ignition}",
        },
        "units": {"dhcp": host_os.dhcp.unit, "tftp": host_os.tftp.unit, "http": host_os.http.unit},
        "logs": {"http": BOOT_LOG, "report": REPORT_LOG, "leases": LEASES},
    }


def bundle(site: Site) -> Bundle:
    """The TFTP server with the loaders and profiles, and the iPXE scripts under the HTTP root."""
    host_os, daemon = site.host_os, site.host_os.tftp
    profiles = f"{host_os.tftp_root}/pxelinux.cfg"
    unit = render(
        "tftp.service.j2",
        user=daemon.user,
        address=site.services_address,
        root=host_os.tftp_root,
        start_seconds=int(limits.UNIT.seconds),
    )
    return Bundle(
        service="boot",
        packages=daemon.packages,
        files=(*_tftp_files(site, profiles), *_http_files(site)),
        unit_files=(HostFile(path=daemon.config, text=unit, selinux=host_os.label("systemd_unit_file_t")),),
        owns=(profiles, f"{HTTP_ROOT}/{SCRIPTS}"),
        units=(daemon.unit,),
        health=(*(_served(site, name) for name in ("lpxelinux.0", "pxelinux.cfg/default")),),
    )


def tftp_paths(site: Site) -> tuple[str, ...]:
    """Everything that machines ask the TFTP server for."""
    return ("lpxelinux.0", "ldlinux.c32", *(f"pxelinux.cfg/01-{machine.mac_hyphens}" for machine in site.machines))


def script_paths(site: Site) -> tuple[str, ...]:
    """The paths under the HTTP root of the iPXE scripts and the live systems' ignition configs."""
    own = (f"mac-{machine.mac_hyphens}.ipxe" for machine in site.machines)
    return tuple(f"/{SCRIPTS}/{name}" for name in ("boot.ipxe", *own, *consoles.live_configs(site)))


def _tftp_files(site: Site, profiles: str) -> list[HostFile]:
    host_os, label = site.host_os, site.host_os.label("tftpdir_t")
    files = [
        HostFile(path=f"{host_os.tftp_root}/{source.rsplit('/', 1)[-1]}", copy_of=source, selinux=label)
        for source in host_os.boot_loader
    ]
    files.append(HostFile(path=f"{profiles}/default", text=render("pxelinux-default.j2"), selinux=label))
    for machine in site.machines:
        text = _profile(site, "pxelinux-profile.j2", machine)
        files.append(HostFile(path=f"{profiles}/01-{machine.mac_hyphens}", text=text, selinux=label))
    return files


def _profile(site: Site, template: str, machine: Machine) -> str:
    """What a machine boots, in the form of one boot loader."""
    return render(
        template,
        machine=machine,
        kernel=f"{site.http_url}/{IMAGES}/kernel",
        initramfs=f"{site.http_url}/{IMAGES}/initramfs",
        arguments=kernel_arguments(site, machine),
    )


def _http_files(site: Site) -> list[HostFile]:
    root, label = f"{HTTP_ROOT}/{SCRIPTS}", site.host_os.label("httpd_sys_content_t")
    files = [HostFile(path=f"{root}/boot.ipxe", text=render("boot.ipxe.j2"), selinux=label)]
    for machine in site.machines:
        text = _profile(site, "machine.ipxe.j2", machine)
        files.append(HostFile(path=f"{root}/mac-{machine.mac_hyphens}.ipxe", text=text, selinux=label))
    configs = consoles.live_configs(site)
    files += [HostFile(path=f"{root}/{name}", text=text, selinux=label) for name, text in configs.items()]
    return files


def _served(site: Site, path: str) -> Health:
    url = f"tftp://{site.services_address}/{path}"
    return Health(f"serves {path}", ("curl", "-fsS", "--max-time", PROBE_SECONDS, "-o", "/dev/null", url))
