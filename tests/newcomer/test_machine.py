"""A machine or a user that cannot do it: told at once, all of it together, and nothing is created."""

from __future__ import annotations

import ast
import errno
import os
from pathlib import Path

import pytest

from lab import ready, surroundings
from lab.progress import StepFailed
from tests.conftest import ROOT
from tests.newcomer.conftest import NOBODY, Clone, only, told

pytestmark = pytest.mark.daemons
_SYSTEM_PYTHON = "/usr/local/bin:/usr/bin:/bin"


def test_a_user_without_root_is_told_of_sudo_before_anything_is_set_up(clone: Clone) -> None:
    clone.give_to(NOBODY)
    before = clone.files()
    done = clone.make("up", user=NOBODY, PATH=_SYSTEM_PYTHON)
    told(done, "1 thing stands in the way; nothing was created or changed", "not root (uid 65534)", "sudo -E make up")
    assert clone.files() == before


def test_everything_in_the_way_is_told_together(clone: Clone) -> None:
    before = clone.files()
    done = clone.make("up", "STACK=dve", "LAB=1", user=NOBODY, PATH=_SYSTEM_PYTHON)
    text = told(done, "4 things stand in the way", "not root", "did you mean dev?")
    assert f"{clone.root}/.lab cannot be written by uid 65534" in text
    assert "run it as root, whose checkout this is" in text
    assert "set XDG_CACHE_HOME" in text
    assert clone.files() == before


@pytest.mark.parametrize("target", ["toolchain", "hypervisor"])
def test_a_single_step_in_a_checkout_of_somebody_else_is_no_traceback(clone: Clone, target: str) -> None:
    told(clone.make(target, user=NOBODY, PATH=_SYSTEM_PYTHON), "FAILED: ", "run it as root, whose checkout this is")


def test_a_full_disk_is_noticed_before_it_is_full(clone: Clone) -> None:
    small = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o size=20m none "$0" && exec "$@"',
        str(clone.root / ".lab"),
    )
    (clone.root / ".lab").mkdir()
    done = clone.make("up", before=small)
    told(done, f"0.0 GiB free for {clone.root}/.lab", "a first run writes at least 3 GiB there", "free some space")
    assert not list((clone.root / ".lab").iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_meanwhile_is_no_traceback(number: int) -> None:
    error = ready.explained(OSError(number, os.strerror(number), "/there/big"))
    assert str(error) == f"/there/big: {os.strerror(number)}\n  to do: {error.remedy}"
    assert "run the same again: it goes on where it stopped" in error.remedy
    log = ["compile: writing output: write $WORK/b001/_pkg_.a: no space left on device"]
    assert ready.explained(StepFailed("building oc", log, "see the log")).remedy == error.remedy


def test_an_error_that_no_user_can_help_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        ready.explained(OSError(errno.EBADF, "Bad file descriptor"))


def test_too_little_memory_is_refused_and_little_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(surroundings, "_MEMORY_LIMITS", (str(limit),))
    limit.write_text(f"{2 << 30}\n")
    [found] = surroundings._memory()
    assert found.what == "this container may use 2.0 GiB of memory"
    assert "8 GiB" in found.fix
    limit.write_text(f"{6 << 30}\n")
    assert surroundings._memory() == []
    assert "note: 6.0 GiB of memory here" in capsys.readouterr().out


def test_another_system_than_debian_is_told_which_tools_it_lacks(clone: Clone, tmp_path: Path) -> None:
    before = clone.files()
    path = only(tmp_path / "bin", "make", "sh", "python3", "virsh", "ip")
    text = told(clone.make("up", PATH=path), "1 thing stands in the way", "use Debian 12", "qemu-utils")
    assert "mmdebstrap" in text
    assert "virsh" not in text
    assert clone.files() == before


def test_another_processor_is_told_that_the_lab_is_not_for_it(clone: Clone) -> None:
    before = clone.files()
    told(clone.make("up", before=("setarch", "i686")), "this machine's processor is i686", "use an x86_64 machine")
    assert clone.files() == before


def test_an_old_python_is_told_its_age_by_every_program_of_the_lab(clone: Clone) -> None:
    for module in ("lab.stack", "lab.toolchain", "lab.hypervisor"):
        old = f"import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_module({module!r}, run_name='__main__')"
        told(clone.run("python3", "-c", old), "is Python 3.9, which is too old", "install Python 3.11 or newer")


def test_an_old_python_can_read_what_tells_it_so() -> None:
    ast.parse((ROOT / "lab" / "__init__.py").read_text(), feature_version=(3, 6))


def test_a_missing_package_is_named_with_its_purpose_and_the_command(clone: Clone) -> None:
    clone.give_to(NOBODY)
    fake = clone.cache / "bin"
    fake.mkdir()
    (fake / "dpkg-query").write_text('#!/bin/sh\n/usr/bin/dpkg-query "$@" | grep -v xsltproc\n')
    (fake / "dpkg-query").chmod(0o755)
    done = clone.make("up", "STACK=prod", user=NOBODY, PATH=f"{fake}:{_SYSTEM_PYTHON}")
    text = told(done, "1 Debian package is missing", "xsltproc: XSLT on domains and networks")
    assert "as root: apt-get install --no-install-recommends xsltproc" in text
    assert not (clone.root / ".venv").exists()
