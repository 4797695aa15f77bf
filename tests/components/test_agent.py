"""The installer of the host agent: it carries every file, says which, and is small."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components import agent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small agent."""
    made = tmp_path / "source"
    (made / "part").mkdir(parents=True)
    (made / "__init__.py").write_text('"""Ünïcode, \'quotes\' and $HOME."""\n')
    (made / "__main__.py").write_text("def main(argv):\n    print('agent', *argv, flush=True)\n    return 0\n")
    (made / "part" / "__init__.py").write_text("")
    return made


def install(source: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Run the installer with its places below `into`."""
    script = agent.installer(source)
    (into / "sbin").mkdir(parents=True, exist_ok=True)
    for place, ours in ((agent.LIBRARY, into / "library"), (agent.AGENT, into / "sbin" / "okd-host")):
        script = script.replace(place, str(ours))
    return subprocess.run(["/bin/sh", "-s"], input=script, capture_output=True, text=True, check=False)


def contents(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*.py")}


def test_what_is_installed_is_what_is_here_and_runs(source: Path, tmp_path: Path) -> None:
    done = install(source, tmp_path / "host")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "host" / "library" / "okd_host") == contents(source)
    told = subprocess.run(
        [tmp_path / "host" / "sbin" / "okd-host", "asked"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "agent asked\n"


def test_a_new_version_takes_the_place_of_the_old_one(source: Path, tmp_path: Path) -> None:
    install(source, tmp_path / "host")
    (source / "part" / "__init__.py").unlink()
    (source / "other.py").write_text("NEW = True\n")
    assert install(source, tmp_path / "host").returncode == 0
    assert contents(tmp_path / "host" / "library" / "okd_host") == contents(source)
    assert [path.name for path in (tmp_path / "host").iterdir() if path.name.startswith("library")] == ["library"]


def test_an_agent_that_cannot_be_compiled_is_not_installed(source: Path, tmp_path: Path) -> None:
    install(source, tmp_path / "host")
    (source / "__main__.py").write_text("def\n")
    assert install(source, tmp_path / "host").returncode != 0
    assert "asked" not in contents(tmp_path / "host" / "library" / "okd_host")["__main__.py"]
    assert "print" in contents(tmp_path / "host" / "library" / "okd_host")["__main__.py"]
    assert [path.name for path in (tmp_path / "host").iterdir() if path.name.startswith("library")] == ["library"]


def test_a_previews_diff_names_the_files_that_change(source: Path) -> None:
    def named() -> set[str]:
        return {line for line in agent.installer(source).splitlines() if line.startswith("# okd_host/")}

    before = named()
    assert len(before) == 3
    (source / "__main__.py").write_text("print()\n")
    assert {line.split()[1] for line in before ^ named()} == {"okd_host/__main__.py"}


def test_the_script_is_a_third_of_what_it_carries_and_always_the_same() -> None:
    script = agent.installer()
    assert len(script) < sum(path.stat().st_size for path in agent.SOURCE.rglob("*.py")) / 3
    assert agent.installer() == script
