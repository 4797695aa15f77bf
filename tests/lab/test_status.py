"""What the operator sees of a stack, whatever of it is there; and what a failed run says of its machines."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import limits
from lab import checkout, commands, consoles, facts, paused, remedies, residents, stack, status, update
from lab.commands import Commands
from lab.facts import Facts
from lab.progress import StepFailed
from tests.lab.standins import SECRET, World

NOW = 1_795_000_000.0
UP: dict[str, Any] = {
    "services": [
        {"name": "dns", "state": "active", "since": NOW - 3700},
        {"name": "load-balancer", "state": "failed", "since": NOW - 61},
    ],
    "mirror": {"version": "4.19.0-okd-scos.0", "images": 11, "verifiedAt": "2026-11-21T10:59:12Z"},
    "ignition": {"made": "2026-11-21T10:59:12Z", "expiry": "2026-11-22T10:59:12Z", "installed": True, "damage": ""},
    "machines": [
        {"name": "bootstrap", "role": "bootstrap", "stage": "off", "since": 0, "detail": ""},
        {"name": "control-plane-0", "role": "control-plane", "stage": "Ready", "since": NOW - 90, "detail": ""},
        {"name": "compute-0", "role": "compute", "stage": "rootfs", "since": NOW - 5, "detail": "/images/rootfs"},
        {"name": "compute-1", "role": "compute", "stage": "NotReady", "since": NOW - 200000, "detail": "no heartbeat"},
    ],
    "cluster": {
        "api": True,
        "version": "4.19.0",
        "available": True,
        "progressing": False,
        "operators": "8/8",
        "message": "",
    },
    "requests": [{"name": "csr-x", "requester": "somebody"}],
}


@pytest.fixture(scope="session")
def dev() -> Facts:
    return facts.of("dev")


@pytest.fixture
def world(tmp_path: Path, dev: Facts) -> World:
    return World(tmp_path, dev)


def shown(world: World) -> str:
    return status.table("dev", world.facts, status.Looker(world.commands, world.facts).look(), NOW)


def cells(table: str, name: str) -> list[str]:
    """A machine's or service's row: its cells."""
    [line] = [line for line in table.splitlines() if re.match(rf"\s*{re.escape(name)}  ", line)]
    return re.split(r"\s{2,}", line.strip())


def test_the_plans_facts_are_the_stacks(dev: Facts) -> None:
    assert dev.services_domain == "okd-dev-services"
    assert list(dev.domains) == ["bootstrap", *(f"control-plane-{n}" for n in range(3)), "compute-0", "compute-1"]
    assert dev.domains["compute-1"] == "okd-dev-compute-1"
    assert dev.roles["control-plane-1"] == "control-plane"
    assert {one["name"] for one in dev.status["machines"]} == set(dev.domains)
    assert {row["name"] for row in dev.power["machines"]} == set(dev.domains) - {"bootstrap"}


def test_settings_that_cannot_be_used_are_named_with_their_report() -> None:
    with pytest.raises(StepFailed) as failed:
        facts.of("nowhere")
    assert "no stack nowhere" in "\n".join(failed.value.last_lines)
    assert "Pulumi.nowhere.yaml" in failed.value.remedy


def test_a_stack_that_is_up_is_shown_whole(world: World) -> None:
    world.domains("running")
    world.save(answer=UP)
    table = shown(world)
    assert cells(table, "dns") == ["dns", "active", "1 h 1 min"]
    assert cells(table, "load-balancer") == ["load-balancer", "failed", "1 min 1 s"]
    assert cells(table, "bootstrap")[3:] == ["not made", "-", "-"]
    assert cells(table, "control-plane-0")[2:] == ["192.168.200.30", "running", "Ready", "1 min 30 s"]
    assert cells(table, "compute-0")[3:] == ["running", "rootfs", "5 s", "/images/rootfs"]
    assert cells(table, "compute-1")[3:] == ["running", "NotReady", "2 d 7 h", "no heartbeat"]
    assert "mirror         4.19.0-okd-scos.0, images 11, verified at 2026-11-21T10:59:12Z" in table
    assert "ignition       made 2026-11-21T10:59:12Z, expiry 2026-11-22T10:59:12Z, installed\n" in table
    assert "cluster        4.19.0, available; operators 8/8; the API answers" in table
    assert "certificate request pending: name csr-x, requester somebody" in table


def test_the_services_host_is_asked_with_the_plans_document(world: World) -> None:
    world.domains("running")
    world.save(answer=UP)
    shown(world)
    assert world.read()["asked"] == world.facts.status


def test_before_anything_is_made_every_machine_is_shown_as_not_made(world: World) -> None:
    table = shown(world)
    assert "services host  not made, 192.168.125.10" in table
    assert "the services host is not made" in table
    assert all(cells(table, name)[3] == "not made" for name in world.facts.domains)
    assert world.calls("ssh") == []


def test_half_up_without_keys_in_the_state_says_so(world: World) -> None:
    world.domains("running")
    world.save(resources=[])
    table = shown(world)
    assert "Pulumi's state holds no key to the services host yet" in table
    assert cells(table, "compute-0")[3] == "running"


def test_half_up_the_mirror_and_the_cluster_are_said_to_be_missing(world: World) -> None:
    world.save(domains={world.facts.services_domain: "running"})
    world.save(
        answer={
            **UP,
            "mirror": None,
            "ignition": None,
            "machines": [],
            "cluster": {"api": False, "message": "refused"},
            "requests": [],
        }
    )
    table = shown(world)
    assert "nothing mirrored yet" in table
    assert "ignition       not made yet" in table
    assert "the API does not answer (refused)" in table


def test_down_the_machines_are_shown_as_libvirt_has_them(world: World) -> None:
    world.domains("shut off")
    table = shown(world)
    assert "the services host is shut off" in table
    assert cells(table, "control-plane-2")[3] == "shut off"


def test_a_services_host_that_does_not_answer_is_named_with_the_reason(world: World) -> None:
    world.domains("running")
    world.save(unreachable=True)
    assert "the services host does not say: ssh: connect to host: No route to host" in shown(world)


def test_a_libvirt_that_does_not_answer_is_named_and_the_services_host_asked_all_the_same(world: World) -> None:
    world.domains("running")
    world.save(answer=UP, libvirt="silent")
    table = shown(world)
    assert "libvirt does not answer: error: failed to connect to the hypervisor" in table
    assert cells(table, "compute-0")[3:5] == ["-", "rootfs"]


def test_the_key_is_read_once_and_is_in_no_command_line_nor_in_the_table(world: World) -> None:
    world.domains("running")
    world.save(answer=UP)
    looker = status.Looker(world.commands, world.facts)
    tables = [status.table("dev", world.facts, looker.look(), NOW) for _ in range(3)]
    assert tables[0] == tables[1] == tables[2]
    assert len(world.calls("pulumi")) == 1
    assert SECRET not in "".join([*world.calls(), *tables, repr(looker.__dict__)])


def test_looking_changes_nothing(world: World) -> None:
    world.domains("running")
    world.save(answer=UP)
    before = world.read()["domains"]
    shown(world)
    assert world.read()["domains"] == before
    assert {call.split()[3] for call in world.calls("virsh")} == {"list"}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW - 5, "5 s"), (NOW - 65, "1 min 5 s"), (NOW - 7260, "2 h 1 min"), (NOW - 90000, "1 d 1 h"), (NOW + 5, "0 s"),
        ("2026-11-18T11:06:40Z", "0 s"), (None, "-"), (0, "-"), ("", "-"), ("boot", "boot"),
    ],
)  # fmt: skip
def test_a_moment_is_shown_by_its_age(moment: Any, text: str) -> None:
    assert status.since(moment, NOW) == text


TOLD = [
    " +  libvirt:index:Domain compute-1-domain created (0.5s)",
    "\x1b[1mDiagnostics:\x1b[0m",
    "  command:remote:Command (compute-0-joined):",
    "    error: okd-host node-join: stage 2/6 machine config failed: compute-0 does not fetch it",
    "    remedy: see control-plane-10's console",
]


def test_only_machines_that_the_diagnostics_name_are_looked_at() -> None:
    machines = ["control-plane-1", "control-plane-10", "compute-0", "compute-1", "compute"]
    assert consoles.named(TOLD, machines) == ["control-plane-10", "compute-0"]


def test_a_failed_run_shows_the_last_line_of_the_machines_console(dev: Facts, tmp_path: Path) -> None:
    log = tmp_path / "compute-0.log"
    log.write_bytes(b"\x1b[2J\x1b[HLoading\r\nignition: GET error: x509: not yet valid\r\n\x00\r\n")
    local = Facts(**{**vars(dev), "consoles": {**dev.consoles, "compute-0": str(log), "control-plane-0": "/none"}})
    commands = Commands("dev", in_lab=False)
    assert consoles.last_words(commands, local, [*TOLD, "control-plane-0"]) == [
        "last on the console of control-plane-0: no console log yet (/none)",
        f"last on the console of compute-0: ignition: GET error: x509: not yet valid ({log})",
    ]


def test_a_console_on_another_host_is_named_by_its_place(dev: Facts) -> None:
    remote = Facts(**{**vars(dev), "uri": "qemu+ssh://root@host/system"})
    assert consoles.last_words(Commands("dev", in_lab=False), remote, TOLD) == [
        f"the console of compute-0: {dev.consoles['compute-0']} on the libvirt host"
    ]


def _with_virsh(script: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    virsh = place / "virsh"
    virsh.write_text(f"#!/bin/sh\n{script}\n")
    virsh.chmod(0o755)
    commands = Commands("dev", in_lab=False)
    monkeypatch.setitem(commands.environment, "PATH", f"{place}:{commands.environment['PATH']}")
    return commands


def test_a_libvirt_that_does_not_answer_a_failed_run_is_asked_once_and_said_to_be_silent(
    dev: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    commands = _with_virsh(f"echo x >>{asked}; echo 'error: no connection' >&2; exit 1", tmp_path, monkeypatch)
    assert paused.told(commands, dev) == ["libvirt does not say whether a machine is paused: error: no connection"]
    assert asked.read_text() == "x\n"


def test_a_failed_run_names_a_machine_that_libvirt_has_paused_and_what_to_do(
    dev: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(
        f" {number} {domain} {'paused' if name in ('services', 'compute-0') else 'running'}\n"
        for number, (name, domain) in enumerate({dev.services: dev.services_domain, **dev.domains}.items(), 1)
    )
    commands = _with_virsh(
        f"""case "$3 $4" in list*) printf ' Id Name State\n---\n{rows}';; *-services) echo "paused (I/O error)";;
        *-compute-0) echo "paused (user)";; *) exit 1;; esac""",
        tmp_path,
        monkeypatch,
    )
    disk, user = paused.told(commands, dev)
    assert disk.startswith("services is paused (I/O error) and answers nobody; to do: ")
    assert "the libvirt host's disk is full" in disk
    assert disk.endswith(f"`virsh resume {dev.services_domain}`")
    assert user == f"compute-0 is paused (user) and answers nobody; to do: `virsh resume {dev.domains['compute-0']}`"


def test_a_name_that_sudo_cannot_resolve_is_not_taken_for_a_machine_without_network() -> None:
    said = "sudo: unable to resolve host services: Temporary failure in name resolution"
    assert remedies.of([said]) == []
    assert len(remedies.of([said, "curl: Temporary failure in name resolution"])) == 1


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ({"bootstrap": {"state": "complete", "machine": True}}, True),
        ({"bootstrap": {"state": "complete", "machine": False}}, False),
        ({"bootstrap": {"state": "booting", "machine": True}}, False),
        ({"bootstrap": {}}, False),
        ({"bootstrap": "[secret]"}, False),
        ({}, False),
    ],
)
def test_a_second_update_is_run_only_to_remove_a_bootstrap_that_has_left(outputs: dict[str, Any], wanted: bool) -> None:
    assert bool(update.another(outputs)) == wanted


class Updates(stack.Stack):
    """A stack whose updates end as told; nothing else is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, codes: list[int], outputs: list[dict[str, Any]]) -> None:
        super().__init__("dev", in_lab=True)
        self.codes, self.updates = codes, 0
        monkeypatch.setattr(stack.ready, "check", lambda name, verb, *, in_lab: None)
        monkeypatch.setattr(stack.turn, "of", lambda name, verb: contextlib.nullcontext())
        monkeypatch.setattr(update, "run", lambda commands: self._run())
        monkeypatch.setattr(update.facts, "of", lambda name: name)
        monkeypatch.setattr(update.paused, "told", lambda commands, known: [])
        monkeypatch.setattr(update.consoles, "last_words", lambda commands, known, told: [f"last of {told}"])
        self._backend = SimpleNamespace(outputs=lambda: outputs.pop(0))

    def prepare(self) -> None:
        pass

    def _settle(self) -> None:
        pass

    def _run(self) -> tuple[int, list[str]]:
        self.updates += 1
        return self.codes.pop(0), ["told"]

    def output(self) -> int:
        return 0


LEFT = {"bootstrap": {"state": "complete", "machine": True}}
GONE = {"bootstrap": {"state": "complete", "machine": False}}


def test_up_runs_a_second_update_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Updates(monkeypatch, [0, 0], [LEFT, GONE])
    assert one.run("up") == 0
    assert one.updates == 2
    assert "without its bootstrap machine now: a second update removes it" in capsys.readouterr().out


def test_up_runs_no_second_update_without_a_reason_nor_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Updates(monkeypatch, [0], [GONE])
    assert one.run("up") == 0
    assert one.updates == 1
    two = Updates(monkeypatch, [0, 0], [LEFT, LEFT])
    assert two.run("up") == 0
    assert two.updates == 2


def test_a_failed_update_is_not_followed_by_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Updates(monkeypatch, [3], [LEFT])
    assert one.run("up") == 3
    assert one.updates == 1
    assert "run `make up` again, it goes on from there" in capsys.readouterr().out


def test_what_a_followed_command_prints_is_shown_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    commands = Commands("dev", in_lab=False)
    code, told = commands.followed(["sh", "-c", "echo one; echo two >&2; exit 4"])
    assert (code, told) == (4, ["one", "two"])
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_first_interrupt_is_left_to_the_command() -> None:
    commands = Commands("dev", in_lab=False)
    script = "trap 'echo ends in good order; exit 5' INT; kill -INT $PPID; kill -INT $$; sleep 5"
    assert commands.followed(["sh", "-c", script]) == (5, ["ends in good order"])


def test_a_command_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_SAID_SECONDS", 0.2)
    limit = limits.LIBVIRT._replace(seconds=0.2)
    done = Commands("dev", in_lab=False).caught(["sleep", "600"], what="it", limit=limit)
    assert done.returncode == 124
    assert "no answer within 0.2 s" in done.stderr


def test_the_table_is_shown_again_until_it_is_interrupted(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.domains("running")
    world.save(answer=UP)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(stack, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(residents, "stacks", set)
    one = stack.Stack("dev", in_lab=False, watch=5)
    one.commands = world.commands
    assert one.run("status") == 0
    assert pauses == [5, 5, 5]
    assert capsys.readouterr().out.count("stack dev: okd.lab.example") == 3


def test_a_failed_update_says_what_its_machines_said_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Updates(monkeypatch, [3], []).run("up") == 3
    assert "last of ['told']" in capsys.readouterr().out


def test_a_lab_that_is_not_running_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack.namespaces, "processes", list)
    assert stack.main(["status", "dev"]) == 0
    assert capsys.readouterr().out == "stack dev: the lab is not running; `make up` starts it\n"


def test_the_operators_commands_need_nothing_beyond_the_standard_library() -> None:
    code = f"import sys; sys.path = [{str(checkout.ROOT)!r}, *sys.path]; import lab.stack, lab.facts"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
