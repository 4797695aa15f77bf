"""The look itself: how `virsh` is asked, and what this machine tells; a stand-in answers for libvirt."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from cluster import footprint, limits
from cluster.plan import Plan
from cluster.preflight.facts import HostFacts, Link
from cluster.settings import Settings
from components import host_look, this_machine
from tests.components.conftest import Run
from tests.conftest import stack_config

VIRSH = """#!{python}
import json, os, sys, time
with open("{log}", "a") as log:
    json.dump({{"argv": sys.argv[1:], "locale": os.environ.get("LC_ALL"), "tty": os.isatty(0)}}, log)
    log.write("\\n")
answers = json.load(open("{answers}"))
if "refusal" in answers:
    print("error: failed to connect to the hypervisor", file=sys.stderr)
    sys.exit("error: " + answers["refusal"])
for words in sys.argv[3].split("; "):
    if words == answers.get("dies at"):
        sys.exit("error: killed")
    if words == answers.get("disconnected at"):
        print("error: Disconnected from qemu:///system due to end of file", file=sys.stderr)
    verb = words.split()[0]
    if verb == "sleep":
        time.sleep(60)
    if verb == "echo":
        print(words.split()[1])
    elif words in answers:
        print(answers[words])
    else:
        print("error: " + words, file=sys.stderr)
sys.exit(1)
"""
CAPABILITIES = (
    "<capabilities><host><cpu><arch>x86_64</arch></cpu></host>"
    "<guest><arch name='x86_64'><domain type='kvm'/></arch></guest></capabilities>"
)
ANSWERS = {
    "capabilities": CAPABILITIES,
    "nodeinfo": "CPU(s):              8\n",
    "nodememstats": "free   :   2048 KiB\n",
    "list --all --uuid": "u1\n\n",
    "domstats --nowait --balloon": "Domain: 'one'\n  balloon.rss=2048\n",
    "net-list --all --uuid": "n1\nn2\n",
    "net-list --uuid": "n1\n",
    "pool-list --all --uuid": "p1\n",
    "pool-list --uuid": "p1\n",
    "nodedev-list --cap net": "net_br0_52\n",
    "dumpxml u1": "<domain id='1'><name>one</name><uuid>u1</uuid><memory>4096</memory></domain>\n",
    "net-dumpxml n1": "<network><name>first</name><uuid>n1</uuid></network>\n",
    "net-dumpxml n2": "<network><name>second</name><uuid>n2</uuid></network>\n",
    "pool-dumpxml p1": "<pool><name>okd-dev</name><uuid>p1</uuid><available>9</available></pool>\n",
    "vol-list okd-dev": " Name   Path\n-----------\n a   /p/a\n",
}


class Virsh:
    """A program of that name, first in the path."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.answers = directory / "log", directory / "answers.json"
        program = directory / "bin" / "virsh"
        program.parent.mkdir()
        program.write_text(VIRSH.format(python=sys.executable, log=self.log, answers=self.answers))
        program.chmod(0o755)
        for name in ("mkisofs", "xsltproc", "ssh"):
            (program.parent / name).symlink_to("/bin/true")
        monkeypatch.setenv("PATH", str(program.parent))
        self.answer(ANSWERS)

    def answer(self, answers: dict[str, str]) -> None:
        self.answers.write_text(json.dumps(answers))

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Virsh:
    return Virsh(tmp_path, monkeypatch)


def plan(uri: str = "qemu:///system", **hypervisor: str) -> Plan:
    config = stack_config("dev")
    config["hypervisor"] = {"uri": uri, **hypervisor}
    return Plan.of(Settings.parse(config, "dev"))


REMOTE = "qemu+ssh://root@kvm.example.com/system"


def test_two_questions_tell_everything(virsh: Virsh) -> None:
    facts = host_look.look(plan())
    assert len(virsh.calls()) == 2
    assert facts.processors is not None
    assert facts.processors.domain_types == {"kvm"}
    assert facts.cpus == 8
    assert [(one.name, one.active, one.resident_mib) for one in facts.domains or ()] == [("one", True, 2)]
    assert [(one.name, one.active) for one in facts.networks or ()] == [("first", True), ("second", False)]
    assert [(one.name, one.free) for one in facts.pools or ()] == [("okd-dev", 9)]
    assert facts.volumes == {"a"}


def test_a_host_that_has_nothing_is_asked_once(virsh: Virsh) -> None:
    virsh.answer(ANSWERS | {words: "\n" for words in ANSWERS if " --" in words})
    facts = host_look.look(plan())
    assert len(virsh.calls()) == 1
    assert (facts.domains, facts.networks, facts.pools) == ((), (), ())


def test_nobody_is_asked_for_a_password_and_answers_are_not_translated(virsh: Virsh) -> None:
    host_look.look(plan(f"{REMOTE}?keyfile=/k"))
    for call in virsh.calls():
        assert call["argv"][:2] == ["--connect", f"{REMOTE}?keyfile=/k&no_tty=1"]
        assert call["locale"] == "C"
        assert not call["tty"]


def test_a_host_key_that_the_provider_is_not_to_verify_is_not_verified_by_virsh(virsh: Virsh) -> None:
    host_look.look(plan(f"{REMOTE}?known_hosts_verify=ignore"))
    assert virsh.calls()[0]["argv"][1].endswith("?known_hosts_verify=ignore&no_tty=1&no_verify=1")


def test_only_questions_are_asked(virsh: Virsh) -> None:
    host_look.look(plan(REMOTE))
    verbs = {words.split()[0] for call in virsh.calls() for words in call["argv"][2].split("; ")}
    assert verbs == {
        "echo",
        "capabilities",
        "nodeinfo",
        "nodememstats",
        "nodedev-list",
        "list",
        "domstats",
        "dumpxml",
        "net-list",
        "net-dumpxml",
        "pool-list",
        "pool-dumpxml",
        "vol-list",
    }


def test_of_a_remote_host_this_machine_tells_nothing(virsh: Virsh) -> None:
    facts = host_look.look(plan(REMOTE))
    assert facts.here is None
    assert facts.memory_free_mib == 2
    assert facts.links == ("net_br0_52",)


def test_a_refusal_is_told_in_libvirts_words(virsh: Virsh) -> None:
    virsh.answer({"refusal": "Failed to connect socket"})
    facts = host_look.look(plan())
    assert facts.refusal == "error: Failed to connect socket"
    assert facts.domains is None
    assert len(virsh.calls()) == 1


def test_a_host_that_does_not_answer_is_given_up(virsh: Virsh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIBVIRT", limits.LIBVIRT._replace(seconds=1))
    monkeypatch.setattr(host_look, "LISTS", {"capabilities": "sleep"})
    assert host_look.look(plan()).refusal == "it did not answer within 1 s"


def test_a_question_that_fails_leaves_its_fact_unknown(virsh: Virsh) -> None:
    virsh.answer({key: value for key, value in ANSWERS.items() if key not in ("capabilities", "nodememstats")})
    facts = host_look.look(plan(REMOTE))
    assert (facts.processors, facts.memory_free_mib, facts.cpus) == (None, None, 8)
    assert facts.domains is not None


def test_an_answer_that_is_cut_off_teaches_nothing(virsh: Virsh) -> None:
    virsh.answer({**ANSWERS, "dumpxml u1": "<domain id='1'><name>one</na"})
    facts = host_look.look(plan())
    assert (facts.domains, facts.networks, facts.refusal) == (None, None, "")


@pytest.mark.parametrize("end", ["dies at", "disconnected at"])
def test_lists_that_break_off_are_no_answer(virsh: Virsh, end: str) -> None:
    virsh.answer({**ANSWERS, end: "pool-list --uuid"})
    facts = host_look.look(plan())
    assert facts.refusal.startswith("its answer broke off: error: ")
    assert facts.domains is None


@pytest.mark.parametrize("end", ["dies at", "disconnected at"])
def test_details_that_break_off_are_unknown_and_not_gone(virsh: Virsh, end: str) -> None:
    virsh.answer({**ANSWERS, end: "net-dumpxml n1"})
    facts = host_look.look(plan())
    assert (facts.domains, facts.networks, facts.refusal) == (None, None, "")


def test_an_object_that_goes_between_the_questions_is_not_there(virsh: Virsh) -> None:
    virsh.answer({key: value for key, value in ANSWERS.items() if key not in ("dumpxml u1", "vol-list okd-dev")})
    facts = host_look.look(plan(REMOTE))
    assert (facts.domains, facts.volumes) == ((), None)


def test_programs_that_are_missing_are_named_and_without_virsh_nothing_is_asked(
    virsh: Virsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    (virsh.log.parent / "bin" / "mkisofs").unlink()
    assert host_look.look(plan()).missing == ("mkisofs",)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert host_look.look(plan()).missing == ("virsh", "mkisofs", "xsltproc", "ssh")
    assert len(virsh.calls()) == 2


def test_files_tell_of_a_pool_that_libvirt_does_not_know(virsh: Virsh, tmp_path: Path) -> None:
    virsh.answer({key: value for key, value in ANSWERS.items() if key != "vol-list okd-dev"})
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "okd-dev-compute-0-root").touch()
    facts = host_look.look(plan(poolPath=str(tmp_path / "pool")))
    assert facts.volumes == {"okd-dev-compute-0-root"}


# This machine.


def test_the_nearest_directory_that_exists_tells_the_room(tmp_path: Path) -> None:
    directory = this_machine.look(str(tmp_path / "a" / "b"), as_root=True).directory
    assert directory is not None
    assert (directory.nearest, directory.is_directory, directory.writable) == (str(tmp_path), True, True)
    room = os.statvfs(tmp_path)
    assert directory.free is not None
    assert abs(directory.free - room.f_bavail * room.f_frsize) < 2**30
    assert directory.files == frozenset()


def test_a_file_in_the_way_of_the_pool_is_seen(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directory = this_machine.look(str(tmp_path / "file" / "pool"), as_root=True).directory
    assert directory is not None
    assert (directory.nearest, directory.is_directory) == (str(tmp_path / "file"), False)


def test_a_file_system_that_is_read_only_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    room = list(os.statvfs("/"))
    room[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(room))
    directory = this_machine.look("/okd", as_root=True).directory
    assert directory is not None
    assert not directory.writable


def test_links_are_read_from_sysfs(tmp_path: Path) -> None:
    for name, mtu in {"br0": "1400", "eth0": "1500"}.items():
        (tmp_path / "class/net" / name).mkdir(parents=True)
        (tmp_path / "class/net" / name / "mtu").write_text(f"{mtu}\n")
    (tmp_path / "class/net/br0/bridge").mkdir()
    (tmp_path / "class/net/bonding_masters").touch()
    here = this_machine.look("/", as_root=True, sys=tmp_path, proc=tmp_path)
    assert here.links == (Link("br0", bridge=True, mtu=1400), Link("eth0", bridge=False, mtu=1500))
    assert (here.routes, here.addresses) == (None, None)


def test_the_machines_own_loopback_is_among_its_addresses() -> None:
    here = this_machine.look("/", as_root=True)
    assert "127.0.0.1" in {str(one) for one in here.addresses or ()}
    assert "lo" in {one.name for one in here.links or ()}
    assert (this_machine.memory_mib() or 0) > 0


# The program.


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_preflight_counts_is_what_the_program_makes(run: Callable[..., Run], stack: str) -> None:
    recording = run(stack).recording
    counted = Plan.of(Settings.parse(stack_config(stack), stack))
    volumes = {one.inputs["name"]: one.inputs.get("size", 0) / 2**30 for one in recording.of_type("Volume")}
    seeds = {one.inputs["name"]: 0 for one in recording.of_type("CloudInitDisk")}
    made = {name: size for name, size in (volumes | seeds).items() if "-base-" not in name}
    assert made == footprint.volumes(counted)
    domains = {one.inputs["name"]: (one.inputs["vcpu"], one.inputs["memory"]) for one in recording.of_type("Domain")}
    assert domains == {name: (one.cpus, one.memory_mib) for name, one in footprint.domains(counted).items()}


def test_findings_end_the_program_before_anything_is_registered(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = HostFacts(missing=("mkisofs",), refusal="error: Failed to connect socket to '/s': Permission denied")
    monkeypatch.setattr(host_look, "look", lambda plan: found)
    with pytest.raises(pulumi.RunError) as error:
        run("dev")
    assert "program mkisofs" in str(error.value)
    assert "usermod -aG libvirt" in str(error.value)


def test_the_domains_are_of_the_type_that_the_host_offers(run: Callable[..., Run]) -> None:
    assert {one.inputs["type"] for one in run("dev").recording.of_type("Domain")} == {"qemu"}
    assert {one.inputs["type"] for one in run("prod").recording.of_type("Domain")} == {"kvm"}
