"""The pool, networks and machines of a small stack, by the project's own components, in a copy of the checkout.

No services host: nothing is installed, and every run is over in seconds. The copy has its own lab; engine and plugins
are the checkout's.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from tests.lab.conftest import Lab
from tests.patience import BOOT_SECONDS

PROGRAM = """
import pulumi
from components import config, last_update
from components.hypervisor import Hypervisor, HypervisorArgs
from components.machine import Machine, MachineArgs
from components.network import Networks, NetworksArgs


async def main():
    plan, facts, forms = await config.planned(await last_update.resources())
    hypervisor = Hypervisor("hypervisor", HypervisorArgs.of(plan, facts, forms))
    on_libvirt = pulumi.ResourceOptions(providers=[hypervisor.provider])
    networks = Networks("network", NetworksArgs.of(plan), on_libvirt)
    for row in plan.members:
        Machine(row.name, MachineArgs(plan=plan, row=row, hypervisor=hypervisor, networks=networks), on_libvirt)


pulumi.run(main)
"""
SIZES = {"cpus": 1, "memoryMiB": 64, "diskGiB": 1}
SETTINGS: dict[str, Any] = {
    "cluster": {"name": "okd", "baseDomain": "lab.example"},
    "checks": {"minimumSizes": "ignore"},
    "hypervisor": {"uri": "qemu:///system", "accelerator": "qemu"},
    "uplink": {"cidr": "192.168.130.0/24", "resolvers": ["198.51.100.53"]},
    "services": {
        "image": {"location": "image.qcow2"},
        "cpus": 1,
        "memoryMiB": 64,
        "diskGiB": 1,
        "registryGiB": 1,
    },
    "pools": {"bootstrap": SIZES, "control-plane": SIZES, "compute": SIZES},
    "machines": {
        "bootstrap": {"address": "192.168.200.10"},
        "control-plane-0": {"address": "192.168.200.30"},
        "compute-0": {"address": "192.168.200.20"},
        "compute-1": {"address": "192.168.200.21"},
    },
}
LOOK = """
from cluster import preflight
from cluster.review import planned
from components import host_look
plan = planned("look")
found = preflight.findings(plan, host_look.look(plan))
print(*(f"refused: {one}" for one in found.refused), *(f"warned: {one}" for one in found.warned), sep="\\n")
"""
RUN = "from lab.commands import Commands; import sys; sys.exit(Commands('look', in_lab=True).shown(sys.argv[1:]))"


class LookingProgram:
    """The stack `look`; `settings` may be changed between runs."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.root = lab, lab.root
        self.settings = copy.deepcopy(SETTINGS)
        for name in ("components", "templates", "scripts", ".venv"):
            self._link(name)
        for name in (".lab/bin", ".lab/pulumi-home"):
            self._link(name)
        shutil.copy(ROOT / "Pulumi.yaml", self.root)
        (self.root / "__main__.py").write_text(PROGRAM)
        (self.root / "image.qcow2").write_bytes(b"QFI\xfb")
        shutil.rmtree(self.root / ".lab" / "state", ignore_errors=True)
        (self.root / ".lab" / "state").mkdir()
        (self.root / ".lab" / "passphrase").write_text("a passphrase of the tests\n")
        self.write()
        done = self._pulumi("stack", "init", "look")
        assert done.returncode == 0, done.stdout + done.stderr

    def write(self) -> None:
        """Write the settings as they are now."""
        config = {f"okd-libvirt:{key}": value for key, value in self.settings.items()}
        (self.root / "Pulumi.look.yaml").write_text(yaml.safe_dump({"config": config}))

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `pulumi VERB` on the stack with the settings as they are now; its exit code is left to the caller."""
        self.write()
        return self._pulumi(verb, *words, "--stack", "look")

    def preview(self) -> str:
        """What a preview prints, whether or not it is refused."""
        done = self.run("preview")
        return done.stdout + done.stderr

    def findings(self, *before: str) -> str:
        """What the look finds for a stack of which nothing was made: as a preview, but without the engine.

        Args:
            before: words put before the command.
        """
        self.write()
        return self.lab.inside(*before, ".venv/bin/python", "-c", LOOK)

    def up(self) -> str:
        """What an update prints, which must succeed."""
        done = self.run("up", "--yes", "--skip-preview")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def _link(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)
        (self.root / name).symlink_to(ROOT / name)

    def _pulumi(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(Path.home()),
            "PYTHONPATH": str(self.root),
        }
        return subprocess.run(
            [sys.executable, "-c", RUN, "pulumi", *words, "--non-interactive"], cwd=self.root, env=environment,
            capture_output=True, text=True, timeout=BOOT_SECONDS, check=False,
        )  # fmt: skip
