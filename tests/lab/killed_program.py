"""A stack of one network, two volumes and a guest in a copy of the checkout, and runs of it that are killed.

The copy has its own lab; engine and plugins are the checkout's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.lab.conftest import Lab
from tests.patience import BOOT_SECONDS

PROGRAM = """
import os
import pulumi
import pulumi_libvirt as libvirt

again = os.environ.get("AGAIN") == "yes"
provider = libvirt.Provider("killed", uri="qemu:///system")
plain = pulumi.ResourceOptions(provider=provider)
pool = libvirt.Pool("pool", name="okd-killed", type="dir", target={"path": "/var/lib/libvirt/okd-killed"}, opts=plain)
network = libvirt.Network(
    "network", name="okd-killed-cluster", mode="none", bridge="okdk1", mtu=1300 if again else 1400,
    dhcp={"enabled": False}, dns={"enabled": False},
    opts=pulumi.ResourceOptions(
        provider=provider, delete_before_replace=True, replace_on_changes=["mtu"], depends_on=[pool]
    ),
)
base = libvirt.Volume(
    "base", name="okd-killed-base", pool=pool.name, source="base.img", format="raw",
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[network]),
)
volume = libvirt.Volume("volume", name="okd-killed-vm-root", pool=pool.name, size=2**30, opts=plain)
libvirt.Domain(
    "domain", name="okd-killed-vm", type="qemu", vcpu=1, memory=64, graphics={"type": "vnc", "autoport": True},
    disks=[{"volume_id": volume.id}, {"volume_id": base.id}],
    network_interfaces=[{"network_id": network.id, "mac": "52:54:00:00:00:02" if again else "52:54:00:00:00:01"}],
    opts=pulumi.ResourceOptions(provider=provider, delete_before_replace=True, replace_on_changes=["networkInterfaces"]),
)
"""
RUN = "from lab.commands import Commands; import sys; c = Commands('dev', in_lab=True); "
SETTLE = (
    f"{RUN}from lab.interrupted import Interrupted; Interrupted(c.project, 'dev', c.environment, c.caught).settle()"
)
SHOWN = f"{RUN}sys.exit(c.shown(sys.argv[1:]))"


class KilledProgram:
    """The stack `dev` of the program above."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        root = lab.root
        (root / "Pulumi.yaml").write_text(
            "name: killed\nruntime:\n  name: python\n  options:\n    toolchain: pip\n"
            f"    virtualenv: {ROOT / '.venv'}\n"
        )
        (root / "Pulumi.dev.yaml").write_text("config: {}\n")
        (root / "__main__.py").write_text(PROGRAM)
        (root / "base.img").write_bytes(os.urandom(48 * 1024 * 1024))
        for name in ("bin", "pulumi-home"):
            (root / ".lab" / name).unlink(missing_ok=True)
            (root / ".lab" / name).symlink_to(ROOT / ".lab" / name)
        shutil.rmtree(root / ".lab" / "state", ignore_errors=True)
        (root / ".lab" / "state").mkdir()
        (root / ".lab" / "passphrase").write_text("a passphrase of the tests\n")
        self.pulumi("stack", "init", "dev", stack=False)

    def pulumi(self, *words: str, stack: bool = True, again: bool = False) -> str:
        """Run `pulumi`, which must succeed; return what it printed."""
        argv = ["pulumi", *words, *(["--stack", "dev"] if stack else []), "--non-interactive"]
        done = self._python(SHOWN, *argv, again=again)
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
        return done.stdout

    def settle(self) -> str:
        """Put in order what a killed run left; return what was said."""
        done = self._python(SETTLE)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def kill(self, words: list[str], doing: str, kind: str, delay: float, *, again: bool = False) -> None:
        """Start a run and kill it, `delay` seconds after it began to do something to a resource of a kind."""
        argv = [sys.executable, "-c", SHOWN, "pulumi", *words, "--stack", "dev", "--non-interactive"]
        log = (self.lab.root / "killed.log").open("w+")
        child = subprocess.Popen(
            argv, cwd=self.lab.root, env=self._environment(again), start_new_session=True, stdout=log, stderr=log
        )
        try:
            while not any(one == (doing, kind) for one in self.pending()):
                log.seek(0)
                assert child.poll() is None, f"it ended before it was {doing} a {kind}:\n{log.read()}"
                time.sleep(0.002)
            time.sleep(delay)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            log.close()

    def pending(self) -> list[tuple[str, str]]:
        """What the state says is under way: what is done, to which kind of resource."""
        path = self.lab.root / ".lab" / "state" / ".pulumi" / "stacks" / "killed" / "dev.json"
        try:
            latest: dict[str, Any] = json.loads(path.read_text())["checkpoint"].get("latest") or {}
        except (FileNotFoundError, ValueError):
            return []
        ops = latest.get("pending_operations") or []
        return [(one["type"], one["resource"]["type"].rsplit(":", 1)[1]) for one in ops]

    def objects(self) -> dict[str, list[str]]:
        """What libvirt holds, by kind."""
        found = {
            kind: self.lab.inside("virsh", verb, "--all", "--name").split()
            for kind, verb in {"domain": "list", "network": "net-list", "pool": "pool-list"}.items()
        }
        rows = self.lab.inside("virsh", "vol-list", "okd-killed").splitlines()[2:] if found["pool"] else []
        return found | {"volume": sorted(row.split()[0] for row in rows if row.strip())}

    def _environment(self, again: bool) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(Path.home()),
            "PYTHONPATH": str(self.lab.root),
            "AGAIN": "yes" if again else "no",
        }

    def _python(self, code: str, *argv: str, again: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *argv], cwd=self.lab.root, env=self._environment(again),
            capture_output=True, text=True, timeout=BOOT_SECONDS, check=False,
        )  # fmt: skip
