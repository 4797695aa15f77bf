"""The language host: what a user sees when a program is right, wrong, or has no interpreter."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from lab.checkout import LAB
from lab.toolchain import venv
from tests.patience import PATIENCE_SECONDS
from tests.toolchain.conftest import PULUMI, Engine

pytestmark = pytest.mark.toolchain


def test_a_program_gets_its_configuration_and_place(engine: Engine) -> None:
    engine.run("config", "set", "plain", "visible")
    engine.run("config", "set", "--secret", "hidden", "s3cr3t-value")
    (engine.project / "beside.py").write_text("NAME = 'beside'\n")
    engine.program("""
import os, sys, beside
config = pulumi.Config()
pulumi.export("plain", config.require("plain"))
pulumi.export("hidden", config.require_secret("hidden"))
pulumi.export("place", os.getcwd())
pulumi.export("names", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization(), beside.NAME])
pulumi.export("preview", pulumi.runtime.is_dry_run())
pulumi.export("leaks", [w for w in [*sys.argv, *os.environ.values()] if "s3cr3t" in w])
print("a line of the program's own")
""")
    shown = engine.up()
    assert "a line of the program's own" in shown
    assert "s3cr3t" not in shown
    out = engine.outputs()
    assert out["plain"] == "visible"
    assert out["hidden"] == "s3cr3t-value"
    assert out["place"] == str(engine.project)
    assert out["names"] == ["sample", "test", "organization", "beside"]
    assert out["preview"] is False
    assert out["leaks"] == []


def test_a_programs_error_shows_its_own_frames_only(engine: Engine) -> None:
    (engine.project / "deep.py").write_text("def fall():\n    raise ValueError('the cause')\n")
    engine.program("import deep\ndeep.fall()\n")
    shown = engine.run("preview", fails=True)
    assert "ValueError: the cause" in shown
    assert "deep.py" in shown
    assert "runner.py" not in shown
    engine.program("raise pulumi.RunError('said plainly')")
    shown = engine.run("preview", fails=True)
    assert "said plainly" in shown
    assert "Traceback" not in shown
    engine.program("import os\nos._exit(5)")
    assert "ended with exit code 5" in engine.run("preview", fails=True)


def test_a_missing_virtual_environment_is_named_with_the_remedy(engine: Engine) -> None:
    project = engine.project / "Pulumi.yaml"
    project.write_text(project.read_text().replace(str(venv.VENV), "absent"))
    engine.program("")
    shown = engine.run("preview", fails=True)
    assert f"{engine.project}/absent" in shown
    assert "make toolchain" in shown


def test_plugins_and_packages_are_those_of_the_environment(engine: Engine) -> None:
    engine.program("")
    about = engine.run("about")
    for name, version in {"random": "4.21.4", "libvirt": "0.5.4", "tls": "5.6.2", "command": "1.2.1"}.items():
        assert any(line.split() == ["resource", name, version] for line in about.splitlines()), about
    assert str(venv.PYTHON) in about
    assert "pytest" in about


def test_pulumi_install_makes_the_environment_it_is_told(engine: Engine) -> None:
    project = engine.project / "Pulumi.yaml"
    project.write_text(project.read_text().replace(str(venv.VENV), "made"))
    (engine.project / "requirements.txt").write_text("")
    engine.program("")
    engine.run("install", "--no-plugins")
    assert (engine.project / "made" / "bin" / "python").exists()


def test_the_host_ends_with_its_engine() -> None:
    host = LAB / "bin" / "pulumi-language-python"
    # The shell is the host's parent and plays the engine that is killed.
    shell = subprocess.Popen(
        ["sh", "-c", f"'{host}' 127.0.0.1:1 & echo $!; wait"], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert shell.stdout is not None
    process = Path("/proc") / shell.stdout.readline().strip()
    assert shell.stdout.readline().strip().isdigit(), "the host told no port"
    assert process.exists()
    shell.kill()
    shell.wait()
    shell.stdout.close()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.exists():
        assert time.monotonic() < deadline, "the host outlived its engine"
        time.sleep(0.1)


def test_commands_need_no_plugin_download(engine: Engine) -> None:
    engine.program("import pulumi_random as random\nrandom.RandomPet('x')")
    environment = {**engine.environment, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false"}
    argv = [str(PULUMI), "preview", "--non-interactive"]
    done = subprocess.run(
        argv, cwd=engine.project, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert "download" not in (done.stdout + done.stderr).lower()
