"""Runs that meet each other, that are killed or interrupted, or that reach no network."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.newcomer.conftest import STACK, Clone, told
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.toolchain, pytest.mark.daemons]
_NO_NETWORK = "http://127.0.0.1:1"


@contextmanager
def begun(clone: Clone, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`make WORDS` while it runs, in a process group of its own; nothing of it is left afterwards.

    A shell starts what it runs in the background with Ctrl-C ignored, and that is passed on to here.
    """
    with subprocess.Popen(
        ("env", "--default-signal=INT", *clone.argv(*words)), cwd=clone.root, env={**clone.environment, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_second_run_is_told_of_the_first_and_does_nothing(made: Clone) -> None:
    note = made.root / ".lab" / f"{STACK}.run"
    note.unlink(missing_ok=True)
    with begun(made, "up", f"STACK={STACK}") as first:
        wait_for(lambda: note.exists() and note.read_text())
        os.killpg(first.pid, signal.SIGSTOP)  # So that it cannot be over before the second one looks.
        pid = note.read_text().split("pid ")[1].split(",")[0]
        for verb in ("up", "down"):
            text = told(
                made.make(verb, f"STACK={STACK}"), "another run works on stack mine (`up`, ", "wait for its end"
            )
            assert f"pid {pid}, since " in text
        looked = made.make("output", f"STACK={STACK}")
        assert looked.returncode == 0, looked.stdout
    again = made.make("down", f"STACK={STACK}")
    assert (again.returncode, "another run" in again.stdout) == (0, False), again.stdout


def test_a_run_after_a_killed_one_takes_its_lock_back_and_goes_on(made: Clone) -> None:
    locks = made.root / ".lab" / "state" / ".pulumi" / "locks" / "organization" / "okd-libvirt" / STACK
    with begun(made, "up", f"STACK={STACK}") as first:
        wait_for(lambda: list(locks.glob("*.json")))
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert list(locks.glob("*.json"))
    text = told(made.make("up", f"STACK={STACK}"), "was killed", "its lock is taken back")
    # It went on from there: what it says now is what is wrong in the settings.
    assert "- hypervisor.uri = " in text.split("its lock is taken back")[1]
    assert not list(locks.glob("*.json"))


@pytest.mark.parametrize("verb", ["stop", "start", "output"])
def test_a_stack_that_was_never_brought_up_is_told_apart_from_one_that_is_off(clone: Clone, verb: str) -> None:
    before = clone.files()
    told(clone.make(verb), "- stack dev is not there", "fix:  begin: make up\n")
    assert clone.files() == before


def test_an_interrupted_build_says_that_it_goes_on_and_leaves_nothing_half_made(clone: Clone, tmp_path: Path) -> None:
    begins = tmp_path / "begins"
    go = tmp_path / "go"
    go.write_text(
        f'#!/bin/sh\ncase "$*" in "env GOVERSION") echo go9.9;; env*) ;; *) echo $$ >{begins}; exec sleep 1200;; esac\n'
    )
    go.chmod(0o755)
    clone.lend_tools(engine=False)
    # The proxy that nobody reaches keeps it from downloading what it would build.
    path = f"{tmp_path}:{clone.environment['PATH']}"
    with begun(clone, "toolchain", PATH=path, https_proxy=_NO_NETWORK) as process:
        wait_for(lambda: begins.exists() and begins.read_text().strip())
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert "interrupted: what is done is kept, and the same command goes on from there" in said
    assert not Path(f"/proc/{begins.read_text().strip()}").exists()
    left = (clone.cache / "okd-libvirt" / "toolchain").iterdir()
    assert [path for path in left if path.suffix != ".lock"] == []


def test_a_machine_without_network_is_told_what_it_needs_once(clone: Clone) -> None:
    clone.write()
    text = told(clone.make("up", f"STACK={STACK}", before=("unshare", "--net"), PIP_RETRIES="1"), "Python packages")
    assert text.rstrip().splitlines()[-2].startswith("  to do: this machine reaches no network, or no name server")
    assert not (clone.root / ".lab" / "bin").exists()


def test_a_go_that_is_missing_is_named_with_its_version(clone: Clone) -> None:
    clone.lend_tools(engine=False)
    path = ":".join(one for one in clone.environment["PATH"].split(":") if not (Path(one) / "go").exists())
    done = clone.make("toolchain", PATH=path, https_proxy=_NO_NETWORK, before=_WITHOUT_GO)
    told(done, "Go is not installed, and it is needed to build pulumi", "install Go 1.", "or newer")


# It looks where Go's own instructions put it as well.
_WITHOUT_GO = (
    "unshare", "--mount", "sh", "-c",
    'if [ -d /usr/local/go ]; then mount -t tmpfs none /usr/local/go; fi; exec "$@"', "sh",
)  # fmt: skip
