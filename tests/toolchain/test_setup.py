"""Setting up: what is found is used, what is there is left alone, what fails says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from lab.checkout import ROOT
from lab.progress import StepFailed, run, step
from lab.toolchain import engine, packages, venv
from lab.toolchain.versions import PULUMI
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.toolchain


def _up(*words: str) -> subprocess.CompletedProcess[str]:
    argv = ["python3", "-m", "lab.toolchain", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_second_run_has_nothing_to_do() -> None:
    assert _up("up").returncode == 0
    done = _up("up")
    assert (done.returncode, done.stdout) == (0, "")


def test_status_names_every_tool() -> None:
    told = {line.split()[0] for line in _up("status").stdout.splitlines()}
    assert told == {"packages", "python", "venv", "pulumi", "language", "random", "libvirt", "tls", "command"}


def test_the_requirements_name_everything_that_they_need() -> None:
    done = subprocess.run([venv.PYTHON, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_packages_are_fetched_once_and_no_index_is_asked_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "wings-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("wings.py", "FEATHERS = 7\n")
        wheel.writestr("wings-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: wings\nVersion: 1.0\n")
        wheel.writestr("wings-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("wings-1.0.dist-info/RECORD", "")
    asked = tmp_path / "requirements.txt"
    asked.write_text("wings==1.0\n")
    monkeypatch.setattr(venv, "_FILES", (asked, asked))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    for number in range(2):
        monkeypatch.setattr(venv, "VENV", tmp_path / f"venv-{number}")
        monkeypatch.setattr(venv, "PYTHON", venv.VENV / "bin" / "python")
        venv.up()
        shown = subprocess.run(
            [venv.PYTHON, "-c", "import wings; print(wings.FEATHERS)"], capture_output=True, text=True
        )
        assert shown.stdout == "7\n", shown.stderr
        shutil.rmtree(index, ignore_errors=True)
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


def test_an_unknown_step_is_refused_with_the_known_ones() -> None:
    done = _up("up", "--only", "venv,wings")
    assert done.returncode == 2
    assert "no step wings; there are packages, venv, pulumi, plugins" in done.stderr


@pytest.mark.parametrize(
    ("version", "host", "used"),
    [("99.0.0", True, True), (PULUMI, True, True), ("3.100.0", True, False), ("99.0.0", False, False)],
)
def test_a_pulumi_on_the_path_is_used_when_new_enough_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, host: bool, used: bool
) -> None:
    (tmp_path / "pulumi").write_text(f"#!/bin/sh\necho v{version}\n")
    (tmp_path / "pulumi").chmod(0o755)
    if host:
        (tmp_path / "pulumi-language-python").write_text("")
    monkeypatch.setenv("PATH", f"{engine.BIN}:{tmp_path}:/usr/bin:/bin")
    assert engine._installed() == (tmp_path if used else None)


def test_missing_packages_are_asked_for_by_name_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", {"no-such-package": "a test", "coreutils": "always there"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert packages.missing() == ["no-such-package"]
    with pytest.raises(StepFailed, match="1 Debian package is missing") as caught:
        packages.up()
    assert caught.value.remedy == "as root: apt-get install --no-install-recommends no-such-package"


def test_nothing_is_started_by_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "_NO_START", policy)
    with packages._nothing_started():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()
    policy.write_text("the machine's own")
    with packages._nothing_started():
        assert policy.read_text() == "the machine's own"
    assert policy.exists()


def test_a_failed_command_shows_its_last_lines_and_the_remedy(tmp_path: Path) -> None:
    script = "for n in $(seq 50); do echo line $n; done; exit 4"
    with pytest.raises(StepFailed) as caught:
        run(["sh", "-c", script], step="counting", log=tmp_path / "log", remedy="count less")
    assert caught.value.last_lines[-1] == "line 50"
    assert "line 30" not in caught.value.last_lines
    assert "counting: exit code 4" in str(caught.value)
    assert "to do: count less" in str(caught.value)
    with pytest.raises(StepFailed, match="no-such-tool not found"):
        run(["no-such-tool"], log=tmp_path / "log")


def test_a_long_step_shows_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lab.progress._INTERVAL_SECONDS", 0.1)
    log = tmp_path / "log"
    log.write_text("what happens now\n")
    told, deadline = "", time.monotonic() + PATIENCE_SECONDS
    with step("waiting", log=log):
        while told.count("… waiting:") < 2:
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
            told += capsys.readouterr().out
    told += capsys.readouterr().out
    assert "(what happens now)" in told
    assert "waiting: done after" in told
