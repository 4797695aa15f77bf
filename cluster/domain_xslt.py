"""The stylesheet that a domain's definition goes through between the libvirt provider and libvirt.

Owns what the provider has no input for: the console's log, disks as files with the driver's options, the seed's bus,
and a cap on what emulation caches. Does not own which domains keep the stylesheet that they were made with
(changes/form.py).

Disks are files because virt-aa-helper, which writes a domain's AppArmor profile on Debian and Ubuntu, cannot look into
storage pools: a machine may not open a disk of type volume there. The base image is named for the same reason: to find
it the helper would have to read the disk's header, which its own profile allows in a few directories only. The provider
reads a file in a pool back as that volume (terraform-provider-libvirt 0.8.1, resource_libvirt_domain.go).

The seed is a CD on virtio-scsi: QEMU's q35 has no IDE, and the kernel of Debian 12's cloud images no AHCI, which SATA
takes. As a disk the provider would take it for one of the machine's own when it reads it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.render import render

# What the guest discards, and blocks that it fills with zeros, go back to the host's file system.
DRIVER = {"discard": "unmap", "detect_zeroes": "unmap"}
# Past the host's page cache, a flush waits for its own disk's writes alone, and no gigabytes of an image that is being
# pulled: etcd's members lose each other over that. An emulated machine waits for its processor, not for its disk.
DIRECT = {"cache": "none"}


@dataclass(frozen=True)
class Backed:
    """A volume that stores only what differs from `base`; both in the stack's pool. `base_format` is qcow2 or raw."""

    volume: str
    base: str
    base_format: str


def stylesheet(
    *,
    domain_type: str,
    console_log: str,
    pool_path: str,
    translation_cache_mib: int,
    backed: Sequence[Backed] = (),
    seed: bool = False,
) -> str:
    """The stylesheet of a domain of type `kvm` or `qemu`; `seed` where it has a cloud-init disk."""
    return render(
        "domain.xslt.j2",
        domain_type=domain_type,
        console_log=console_log,
        pool_path=pool_path,
        translation_cache_mib=translation_cache_mib,
        disk_driver=(DIRECT if domain_type == "kvm" else {}) | DRIVER,
        backed=backed,
        seed=seed,
    )
