"""What the lab says when the machine lacks something; needs neither root nor a hypervisor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import hypervisor, kvm
from lab.progress import StepFailed
from tests.conftest import ROOT

FLAGS = "processor : 0\nflags\t\t: fpu vme {}\n"


def cpuinfo(tmp_path: Path, flag: str) -> str:
    path = tmp_path / "cpuinfo"
    path.write_text(FLAGS.format(flag))
    return str(path)


def test_kvm_is_missed_where_there_is_no_device(tmp_path: Path) -> None:
    assert kvm.problem(str(tmp_path / "kvm")) == f"there is no {tmp_path / 'kvm'}"


def test_kvm_is_refused_without_hardware_virtualisation(tmp_path: Path) -> None:
    assert kvm.problem("/dev/null", cpuinfo(tmp_path, "sse")) == "the processor shows neither vmx nor svm"


@pytest.mark.parametrize("flag", ["vmx", "svm"])
def test_a_device_that_does_not_answer_as_kvm_is_refused(tmp_path: Path, flag: str) -> None:
    answer = kvm.problem("/dev/null", cpuinfo(tmp_path, flag))
    assert answer is not None
    assert answer.startswith("/dev/null: ")


def test_only_root_may_start_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StepFailed, match="sudo -E"):
        hypervisor.up()


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    absent = {"libvirtd", "dnsmasq"}
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name in absent else f"/usr/bin/{name}")
    with pytest.raises(StepFailed) as failed:
        hypervisor.up()
    assert failed.value.what == "not installed: libvirtd, dnsmasq"
    assert failed.value.remedy == "apt-get install --no-install-recommends dnsmasq-base libvirt-daemon"


@pytest.mark.parametrize("words", [[], ["start"], ["up", "now"]])
def test_an_unknown_verb_shows_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert hypervisor.main(words) == 2
    assert "up|down|status|enter" in capsys.readouterr().err


def test_the_lab_needs_nothing_beyond_the_standard_library() -> None:
    modules = "import lab.hypervisor, lab.image, lab.upstream, lab.upstream.server, lab.holder"
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path = [{str(ROOT)!r}, *sys.path]; {modules}"], check=True
    )
