"""The libvirt host a stack is built on, seen from Pulumi.

Owns the explicit libvirt provider (so that a URI is never guessed), the stack's own storage pool, and the
choice between hardware virtualization and emulation. Does not own networks, volumes or domains.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pulumi
import pulumi_libvirt as libvirt

from cluster.plan import Plan


class HypervisorError(pulumi.RunError):
    """The libvirt host cannot be used as the settings ask; the message, shown without a traceback, says what to do."""


def accelerator(uri: str, wanted: str) -> str:
    """The libvirt domain type, `kvm` or `qemu`, for the setting `hypervisor.accelerator`.

    `auto` asks the host at `uri` through `virsh domcapabilities` (read-only) and takes kvm where it is offered.

    Raises:
        HypervisorError: `virsh` is missing or the host cannot be reached.
    """
    if wanted != "auto":
        return wanted
    if _offers(uri, "kvm"):
        return "kvm"
    if _offers(uri, "qemu"):
        return "qemu"
    raise HypervisorError(
        f"hypervisor.accelerator=auto: the libvirt host at hypervisor.uri={uri} offers neither kvm nor qemu "
        "machines, so no machine could start. Install qemu-system-x86 on that host."
    )


def _offers(uri: str, kind: str) -> bool:
    argv = ["virsh", "--connect", uri, "domcapabilities", "--virttype", kind, "--arch", "x86_64"]
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise HypervisorError(
            "hypervisor.accelerator=auto needs `virsh` on this machine to ask the libvirt host what it can do. "
            "Install libvirt-clients, or set hypervisor.accelerator to kvm or qemu."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise HypervisorError(
            f"hypervisor.uri={uri}: the libvirt host did not answer within 60 s. Check that libvirtd runs there "
            "and that the URI is reachable from this machine."
        ) from error
    if answer.returncode == 0:
        return True
    if "failed to connect" in answer.stderr:
        raise HypervisorError(
            f"hypervisor.uri={uri}: cannot connect to the libvirt host: {answer.stderr.strip()} "
            "Start libvirtd there (in the lab: `make hypervisor`), correct the URI, or get permission to use it."
        )
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class HypervisorArgs:
    """`pool_path` is a directory on the libvirt host; `domain_type` is `kvm` or `qemu`."""

    uri: str
    domain_type: str
    pool_name: str
    pool_path: str

    @classmethod
    def of(cls, plan: Plan) -> HypervisorArgs:
        """The arguments a plan asks for; asks the libvirt host which accelerator it offers."""
        wanted = plan.settings.hypervisor
        return cls(
            uri=wanted.uri,
            domain_type=accelerator(wanted.uri, wanted.accelerator),
            pool_name=plan.names.pool,
            pool_path=str(wanted.pool_path),
        )


class Hypervisor(pulumi.ComponentResource):
    """Provider and storage pool of one stack. `pool` is the pool's name once it exists."""

    provider: libvirt.Provider
    pool: pulumi.Output[str]
    domain_type: str

    def __init__(self, name: str, args: HypervisorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Hypervisor", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.domain_type = args.domain_type
        self.provider = libvirt.Provider(f"{name}-libvirt", uri=args.uri, opts=child)
        pool = libvirt.Pool(
            f"{name}-pool",
            name=args.pool_name,
            type="dir",
            target={"path": args.pool_path},
            opts=pulumi.ResourceOptions(parent=self, provider=self.provider),
        )
        self.pool = pool.name
        self.register_outputs({"pool": self.pool, "domainType": args.domain_type})
