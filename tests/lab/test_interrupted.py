"""A killed run leaves a lock, orphans and objects that nobody wrote down: the next run starts from good order."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.interrupted import Interrupted
from lab.progress import StepFailed
from tests.lab.conftest import Lab
from tests.lab.killed_program import KilledProgram
from tests.patience import PATIENCE_SECONDS

PROVIDER = "urn:pulumi:dev::p::pulumi:providers:libvirt::lv"
URI = "qemu+ssh://root@host/system"
VOLUMES = " Name    Path\n------------------\n"


def resource(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    lower = kind[0].lower() + kind[1:]
    return {
        "urn": f"urn:pulumi:dev::p::libvirt:index/{lower}:{kind}::{name}",
        "type": f"libvirt:index/{lower}:{kind}",
        "inputs": {"name": name, **({"pool": "okd-dev"} if kind in ("Volume", "CloudInitDisk") else {})},
        "provider": f"{PROVIDER}::id",
        **fields,
    }


class Machine:
    """Stands in for `pulumi` and `virsh`: a state, and libvirt's objects by kind."""

    def __init__(self, tmp_path: Path) -> None:
        self.backend = tmp_path / "state"
        self.pending: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = [
            {"urn": PROVIDER, "type": "pulumi:providers:libvirt", "inputs": {"uri": URI}}
        ]
        self.objects: dict[str, dict[str, str]] = {"": {}, "net-": {}, "pool-": {"okd-dev": "running"}, "vol-": {}}
        self.allocation = 200_000
        self.silent = False
        self.calls: list[list[str]] = []
        environment = {"PULUMI_BACKEND_URL": f"file://{self.backend}", "PULUMI_HOME": str(tmp_path / "home")}
        self.interrupted = Interrupted("p", "dev", environment, self.run)

    def lock(self, pid: int, host: str | None = None) -> Path:
        path = self.backend / ".pulumi" / "locks" / "organization" / "p" / "dev" / f"{pid}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps({"pid": pid, "username": "root", "hostname": host or socket.gethostname(), "timestamp": "10:00"})
        )
        return path

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        words = list(argv)
        self.calls.append(words)
        if words[0] == "pulumi":
            return subprocess.CompletedProcess(words, 0, self._pulumi(words[1:]), "")
        assert words[:5] == ["env", "LC_ALL=C", "virsh", "-c", URI]
        if self.silent:
            return subprocess.CompletedProcess(words, 1, "", "error: failed to connect to the hypervisor\n")
        return subprocess.CompletedProcess(words, 0, self._virsh(words[5:]), "")

    def _pulumi(self, words: list[str]) -> str:
        if words[:2] == ["stack", "export"]:
            return json.dumps({"deployment": {"resources": self.resources, "pending_operations": self.pending}})
        if words[:2] == ["stack", "import"]:
            deployment = json.loads(Path(words[3]).read_text())["deployment"]
            self.pending, self.resources = deployment["pending_operations"], deployment["resources"]
        return ""

    def _virsh(self, words: list[str]) -> str:
        verb, name = words[0], words[1] if len(words) > 1 else ""
        prefix = next((one for one in ("net-", "pool-", "vol-") if verb.startswith(one)), "")
        known, verb = self.objects[prefix], verb.removeprefix(prefix)
        if verb == "list" and prefix == "vol-":
            return VOLUMES + "".join(f" {one}    /pool/{one}\n" for one in known)
        if verb == "list":
            return "\n".join([*known, ""])
        if verb == "dumpxml":
            return f"<volume><capacity>1</capacity><allocation unit='bytes'>{self.allocation}</allocation></volume>"
        if verb in ("undefine", "delete"):
            del known[name]
        elif verb == "destroy":
            known[name] = "shut off" if prefix == "" else "inactive"
        elif verb == "domstate":
            return f"{known[name]}\n\n"
        elif verb == "info":
            return f"Name:  {name}\nState:  {known[name]}\nActive:  {'yes' if known[name] == 'running' else 'no'}\n"
        return ""

    def did(self, program: str) -> list[str]:
        """What was run of a program that changes something."""
        told = [" ".join(words[5:] if words[0] == "env" else words[1:]) for words in self.calls if program in words]
        looks = ("list", "net-list", "pool-list", "vol-list", "domstate", "net-info", "pool-info", "stack export")
        looks += ("pool-refresh", "vol-dumpxml")
        return [one for one in told if not one.startswith(looks)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def dead() -> int:
    """The id of a process that is gone."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_after_a_run_that_ended_nothing_is_done(machine: Machine) -> None:
    machine.objects[""]["okd-dev-vm"] = "running"
    machine.interrupted.settle()
    assert machine.did("pulumi") == []
    assert machine.did("virsh") == []


def test_the_lock_of_a_killed_run_is_taken_back(
    machine: Machine, dead: int, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.lock(dead)
    machine.interrupted.settle()
    assert machine.did("pulumi") == ["cancel --yes dev --non-interactive"]
    assert f"the run of 10:00 was killed (pid {dead} is gone): its lock is taken back" in capsys.readouterr().out


def test_a_pid_that_another_program_has_by_now_is_a_killed_run(machine: Machine) -> None:
    machine.lock(os.getpid())
    machine.interrupted.settle()
    assert machine.did("pulumi") == ["cancel --yes dev --non-interactive"]


@pytest.fixture
def living(tmp_path: Path) -> Any:
    """The id of a process named pulumi, and one of its plugins."""
    program = tmp_path / "pulumi"
    program.write_text('#!/bin/sh\n"$1" 60 &\necho $!\nwait\n')
    program.chmod(0o755)
    plugin = tmp_path / "home" / "plugins" / "resource" / "pulumi-resource-libvirt"
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, plugin], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    number = int(child.stdout.readline())
    # Between fork and exec the shell's child is still the shell.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not os.path.samefile(f"/proc/{number}/exe", plugin):
        assert time.monotonic() < deadline, "the plugin never started"
        time.sleep(0.01)
    yield child, number
    child.kill()
    child.wait()
    child.stdout.close()
    if Path(f"/proc/{number}").exists():
        os.kill(number, 9)


def test_a_run_that_still_lives_is_left_alone_and_named(machine: Machine, living: Any) -> None:
    child, _ = living
    machine.lock(child.pid)
    with pytest.raises(StepFailed, match=f"another `pulumi` works on stack dev: pid {child.pid}") as failed:
        machine.interrupted.settle()
    assert "wait for its end" in failed.value.remedy
    assert machine.calls == []


def test_a_run_on_another_machine_is_left_alone_and_named(machine: Machine, dead: int) -> None:
    machine.lock(dead)
    machine.lock(1, host="elsewhere")
    with pytest.raises(StepFailed, match="on elsewhere") as failed:
        machine.interrupted.settle()
    assert "pulumi cancel" in failed.value.remedy
    assert machine.calls == []


def test_plugins_are_ended_once_their_engine_is_gone_and_not_before(machine: Machine, living: Any, dead: int) -> None:
    child, plugin = living
    machine.lock(dead)
    machine.interrupted.settle()
    assert ") Z " not in Path(f"/proc/{plugin}/stat").read_text()
    child.kill()
    child.wait()
    machine.interrupted.settle()
    assert not Path(f"/proc/{plugin}").exists() or ") Z " in Path(f"/proc/{plugin}/stat").read_text()


def test_other_backends_have_locks_of_their_own(tmp_path: Path, dead: int) -> None:
    machine = Machine(tmp_path)
    machine.lock(dead)
    elsewhere = {"PULUMI_BACKEND_URL": "s3://bucket", "PULUMI_HOME": str(tmp_path)}
    Interrupted("p", "dev", elsewhere, machine.run).settle()
    assert machine.did("pulumi") == []


def creating(machine: Machine, *resources: dict[str, Any]) -> None:
    machine.pending += [{"type": "creating", "resource": one} for one in resources]


def test_what_a_killed_run_was_making_is_removed_and_forgotten(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    creating(
        machine,
        resource("Network", "okd-dev-cluster"),
        resource("Volume", "okd-dev-vm-root"),
        resource("CloudInitDisk", "okd-dev-seed.iso"),
        resource("Domain", "okd-dev-vm"),
    )
    machine.objects[""] = {"okd-dev-vm": "running", "okd-dev-other": "running"}
    machine.objects["net-"] = {"okd-dev-cluster": "running", "default": "running"}
    machine.objects["vol-"] = {"okd-dev-vm-root": "", "okd-dev-seed.iso": "", "precious": ""}
    machine.interrupted.settle()
    assert machine.did("virsh") == [
        "destroy okd-dev-vm",
        "undefine okd-dev-vm --nvram --managed-save --snapshots-metadata --checkpoints-metadata",
        "vol-delete okd-dev-seed.iso --pool okd-dev",
        "vol-delete okd-dev-vm-root --pool okd-dev",
        "net-destroy okd-dev-cluster",
        "net-undefine okd-dev-cluster",
    ]
    assert machine.pending == []
    said = capsys.readouterr().out
    assert "removed domain okd-dev-vm: a killed run was making it, and the state does not hold it" in said
    assert machine.objects[""] == {"okd-dev-other": "running"}


def test_a_pool_is_taken_back_without_its_files(machine: Machine) -> None:
    creating(machine, resource("Pool", "okd-dev"))
    machine.interrupted.settle()
    assert machine.did("virsh") == ["pool-destroy okd-dev", "pool-undefine okd-dev"]


def test_what_never_came_to_be_is_only_forgotten(machine: Machine) -> None:
    creating(machine, resource("Domain", "okd-dev-vm"), resource("Volume", "okd-dev-vm-root"))
    machine.interrupted.settle()
    assert machine.did("virsh") == []
    assert machine.pending == []


def test_what_the_state_holds_by_now_is_kept(machine: Machine) -> None:
    creating(machine, resource("Domain", "okd-dev-vm"))
    machine.resources.append(resource("Domain", "okd-dev-vm", id="uuid"))
    machine.objects[""]["okd-dev-vm"] = "running"
    machine.interrupted.settle()
    assert machine.did("virsh") == []
    assert machine.pending == []


def test_other_resources_that_were_being_made_are_left_to_the_next_run(machine: Machine) -> None:
    command = {"urn": "urn:x::command:remote:Command::c", "type": "command:remote:Command", "inputs": {"create": "x"}}
    creating(machine, command)
    machine.interrupted.settle()
    assert machine.did("virsh") == []
    assert machine.pending == []


def test_a_protected_volume_goes_only_while_nothing_was_written_to_it(machine: Machine) -> None:
    creating(machine, resource("Volume", "okd-dev-registry", protect=True))
    machine.objects["vol-"]["okd-dev-registry"] = ""
    machine.allocation = 2**30
    with pytest.raises(StepFailed, match="okd-dev-registry is protected and in use") as failed:
        machine.interrupted.settle()
    assert "pulumi import libvirt:index/volume:Volume" in failed.value.remedy
    assert machine.did("virsh") == []
    assert machine.pending
    machine.allocation = 200_000
    machine.interrupted.settle()
    assert machine.did("virsh") == ["vol-delete okd-dev-registry --pool okd-dev"]


def test_what_awaits_its_replacement_does_not_shield_what_was_half_made_in_its_place(machine: Machine) -> None:
    machine.resources.append(resource("Domain", "okd-dev-vm", id="uuid", pendingReplacement=True))
    creating(machine, resource("Domain", "okd-dev-vm"))
    machine.objects[""]["okd-dev-vm"] = "running"
    machine.interrupted.settle()
    assert machine.objects[""] == {}
    assert machine.pending == []


def test_what_was_destroyed_for_a_replacement_that_failed_is_taken_out_of_the_state(machine: Machine) -> None:
    gone = resource("Domain", "okd-dev-vm", id="uuid", pendingReplacement=True)
    machine.resources.append(gone)
    machine.interrupted.settle()
    refresh = f"refresh --yes --skip-preview --target {gone['urn']} --stack dev --non-interactive"
    assert machine.did("pulumi")[-1] == refresh
    assert "pendingReplacement" not in machine.resources[-1]


@pytest.mark.parametrize("kind", ["Domain", "Network"])
def test_what_was_destroyed_before_the_kill_is_taken_out_of_the_state(machine: Machine, kind: str) -> None:
    gone = resource(kind, "okd-dev-x", id="uuid")
    machine.resources.append(gone)
    machine.pending.append({"type": "deleting", "resource": gone})
    machine.interrupted.settle()
    refresh = f"refresh --yes --skip-preview --target {gone['urn']} --stack dev --non-interactive"
    assert machine.did("pulumi")[-1] == refresh


def test_what_was_not_destroyed_yet_is_left_to_the_next_run(machine: Machine) -> None:
    there = resource("Domain", "okd-dev-x", id="uuid")
    machine.resources.append(there)
    machine.objects[""]["okd-dev-x"] = "shut off"
    machine.pending.append({"type": "deleting", "resource": there})
    machine.interrupted.settle()
    assert not any(one.startswith("refresh") for one in machine.did("pulumi"))
    assert machine.did("virsh") == []


def test_a_libvirt_that_does_not_answer_stops_the_run_and_nothing_is_forgotten(machine: Machine) -> None:
    creating(machine, resource("Domain", "okd-dev-vm"))
    machine.silent = True
    with pytest.raises(StepFailed) as failed:
        machine.interrupted.settle()
    assert "failed to connect" in "\n".join(failed.value.last_lines)
    assert "run the same again" in failed.value.remedy
    assert machine.pending


@pytest.mark.lab
@pytest.mark.toolchain
@pytest.mark.extended
@pytest.mark.parametrize("delay", [0.0, 0.15])
def test_a_real_stack_converges_after_a_kill_at_every_step(lab: Lab, delay: float) -> None:
    program = KilledProgram(lab)
    whole = {
        "domain": ["okd-killed-vm"],
        "network": ["okd-killed-cluster"],
        "pool": ["okd-killed"],
        "volume": ["okd-killed-base", "okd-killed-vm-root"],
    }
    up, destroy = ["up", "--yes", "--skip-preview"], ["destroy", "--yes", "--skip-preview"]
    for kind in ("Pool", "Network", "Volume", "Domain"):
        program.kill(up, "creating", kind, delay)
        assert "its lock is taken back" in program.settle()
        assert program.pending() == []
    program.pulumi(*up)
    assert program.objects() == whole
    assert "unchanged" in program.pulumi("preview", "--expect-no-changes")
    for doing, kind in (
        ("deleting", "Domain"),
        ("deleting", "Network"),
        ("creating", "Network"),
        ("creating", "Domain"),
    ):
        program.kill(up, doing, kind, delay, again=True)
        program.settle()
    program.pulumi(*up, again=True)
    assert program.objects() == whole
    program.pulumi("preview", "--expect-no-changes", again=True)
    for kind in ("Domain", "Volume", "Network"):
        program.kill(destroy, "deleting", kind, delay)
        program.settle()
    program.pulumi(*destroy)
    assert program.objects() == {"domain": [], "network": [], "pool": [], "volume": []}
    assert not [name for name in lab.processes() if name.startswith("pulumi")]
