"""Room for a plan on its libvirt host: processors, memory, disk.

Owns comparing what is to be made with what is free. Does not own sizes that are too small for the product
(size_checks.py). A stack that stands and stays as it is needs no room.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import footprint
from cluster.architectures import BOOTABLE
from cluster.preflight.look import Finding, Look, refuse, warn
from cluster.settings_problems import Problem

GIB = 1024**3


def findings(look: Look) -> Iterator[Finding]:
    """What does not fit, or runs slowly."""
    if look.new_domains:
        yield from _processors(look)
        yield from _memory(look)
    yield from _directory(look)
    yield from _disk(look)


def _processors(look: Look) -> Iterator[Finding]:
    found, wanted = look.facts.processors, look.plan.settings.hypervisor.accelerator
    if found is None:
        return
    asked = look.plan.settings.release.architecture
    if found.architecture and found.architecture != asked:
        yield refuse(
            "release.architecture",
            asked,
            f"the libvirt host is {found.architecture}, and so are its machines: none could start the release",
            f"take a libvirt host of {asked}"
            + (f", or write {found.architecture}" if found.architecture in BOOTABLE else ""),
        )
    elif not found.domain_types & {"kvm", "qemu"}:
        yield refuse(
            "hypervisor.uri",
            look.plan.settings.hypervisor.uri,
            "the libvirt host offers neither kvm nor qemu machines, so none could start",
            f"install QEMU there: apt-get install qemu-system-{'x86' if asked == 'x86_64' else 'arm'} "
            "(Fedora: dnf install qemu-kvm), then restart libvirtd",
        )
    elif asked == "x86_64" and found.machines and not found.machines & {"q35", "pc"}:
        yield refuse(
            "hypervisor.uri",
            look.plan.settings.hypervisor.uri,
            "the libvirt host's QEMU offers neither q35 nor pc machines, so none could be defined",
            "install a QEMU with all of its machine types there: apt-get install qemu-system-x86 "
            "(Fedora: dnf install qemu-kvm), then restart libvirtd",
        )
    elif wanted != "qemu" and "kvm" not in found.domain_types:
        yield from _no_kvm(look, found.virtual)
    if look.facts.cpus is not None:
        sizes = footprint.domains(look.plan)
        large = [sizes[name] for name in look.new_domains if sizes[name].cpus > look.facts.cpus]
        for one in sorted(large, key=lambda size: size.machine):
            yield warn(
                f"cpus of {one.machine}",
                str(one.cpus),
                f"the libvirt host has {look.facts.cpus}: a machine with more runs slower than with as many",
                f"give it at most {look.facts.cpus}",
            )


def _no_kvm(look: Look, virtual: bool) -> Iterator[Finding]:
    if virtual:
        why = "the libvirt host is itself a virtual machine, without nested virtualization"
        fix = "let its own hypervisor pass vmx or svm on (kvm_intel or kvm_amd with nested=1, CPU host-passthrough)"
    else:
        why = "the libvirt host has no KVM"
        fix = "switch virtualization on in its firmware, and load kvm_intel or kvm_amd"
    if look.plan.settings.hypervisor.accelerator == "kvm":
        yield refuse(
            "hypervisor.accelerator", "kvm", f"{why}: no machine could start", f"{fix}; or write auto, or qemu"
        )
    else:
        yield warn(
            "hypervisor.accelerator",
            "auto",
            f"{why}: the machines are emulated, many times slower, and a real release may never get ready",
            f"{fix}; write qemu where that is meant",
        )


def _memory(look: Look) -> Iterator[Finding]:
    free, severity = look.facts.memory_free_mib, look.plan.settings.checks.host_memory
    if free is None or look.facts.domains is None or severity == "ignore":
        return
    mine = {one.uuid for one in look.held.domains.values()}
    taken = sum(one.resident_mib or 0 for one in look.facts.domains if one.uuid in mine)
    needed = footprint.memory_mib(look.plan)
    if needed > free + taken:
        yield Finding(
            severity,
            Problem(
                "memory of all machines",
                f"{needed} MiB",
                f"the libvirt host has {free + taken} MiB for them: it would end some of them as they fill it, "
                "control plane machines among them",
                "give pools less memoryMiB, declare fewer machines, or free memory there; "
                "checks.hostMemory: warn lets it pass",
            ),
        )


def _directory(look: Look) -> Iterator[Finding]:
    directory = look.facts.here.directory if look.facts.here else None
    name = look.plan.names.pool
    if directory is None or name in look.held.pools:
        return
    path = str(look.plan.settings.hypervisor.pool_path)
    if not directory.is_directory or not directory.writable:
        what = "cannot be written to" if directory.is_directory else "is no directory"
        yield refuse(
            "hypervisor.poolPath",
            path,
            f"{directory.nearest} {what}, so libvirt could not make the stack's storage pool",
            "write the path of a directory on the libvirt host; what is missing of it is made",
        )


def _disk(look: Look) -> Iterator[Finding]:
    severity, free = look.plan.settings.checks.host_disk, free_bytes(look)
    if severity == "ignore" or free is None or look.new_gib * GIB <= free:
        return
    yield Finding(
        severity,
        Problem(
            "hypervisor.poolPath",
            str(look.plan.settings.hypervisor.pool_path),
            f"{free / GIB:.0f} GiB are free there, and the volumes to be made may grow to {look.new_gib:.0f} GiB: "
            "machines stop with their disks' writes as it fills",
            "take a larger file system, smaller diskGiB, extraDisksGiB or services.registryGiB; "
            "checks.hostDisk: ignore lets it pass, refuse makes it an error",
        ),
    )


def free_bytes(look: Look) -> int | None:
    """Free space where the stack's volumes are or will be; None when nothing tells."""
    if look.facts.here and look.facts.here.directory and look.facts.here.directory.free is not None:
        return look.facts.here.directory.free
    path = str(look.plan.settings.hypervisor.pool_path).rstrip("/")
    pools = {one.path.rstrip("/"): one.free for one in look.facts.pools or () if one.path and one.free is not None}
    # The deepest pool around the directory; another file system mounted between the two is not seen from here.
    around = [where for where in pools if path == where or path.startswith(f"{where}/")]
    return pools[max(around, key=len)] if around else None
