"""Building from Go modules: what a result depends on, how Go is called, what is said when it cannot be."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.progress import StepFailed
from lab.toolchain import engine, golang, plugins
from lab.toolchain.versions import PLUGINS, PULUMI, at_least


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that prints a word, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(golang, "LOGS", tmp_path / "logs")
    module = tmp_path / "module"
    (module / "cmd").mkdir(parents=True)
    (module / "go.mod").write_text("module example.com/sample\n\ngo 1.21\n")
    (module / "go.sum").write_text("")
    (module / "cmd" / "main.go").write_text('package main\n\nvar word = "none"\n\nfunc main() { println(word) }\n')
    return module


def _build(module: Path, flags: str = "") -> Path:
    return golang.build(module, "./cmd", "sample", golang.sources_hash(module, ["cmd"]), flags)


def test_a_result_is_kept_and_made_anew_when_its_inputs_change(module: Path, tmp_path: Path) -> None:
    first = _build(module, "-X main.word=one")
    assert subprocess.run([first], capture_output=True, text=True, check=True).stderr == "one\n"
    changed = first.stat().st_mtime_ns
    assert _build(module, "-X main.word=one") == first
    assert first.stat().st_mtime_ns == changed
    assert _build(module, "-X main.word=two") != first
    (module / "cmd" / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert _build(module, "-X main.word=one") != first
    assert sorted(path.name for path in first.parents[1].iterdir() if "sample" in path.name) == []


def test_a_program_that_two_processes_need_is_compiled_once(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    once = golang._build

    def counted(argv: list[str], *others: Any) -> None:
        compiled.append(argv[-1])
        once(argv, *others)

    monkeypatch.setattr(golang, "_build", counted)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: _build(module, "-X main.word=same"), range(2))
    assert first == second
    assert compiled == ["./cmd"]


def test_tags_choose_files_and_make_another_result(module: Path) -> None:
    (module / "cmd" / "main.go").write_text("package main\n\nfunc main() { println(word) }\n")
    (module / "cmd" / "plain.go").write_text('//go:build !other\n\npackage main\n\nvar word = "plain"\n')
    (module / "cmd" / "other.go").write_text('//go:build other\n\npackage main\n\nvar word = "other"\n')
    key = golang.sources_hash(module, ["cmd"])
    plain, other = (golang.build(module, "./cmd", "sample", key, tags=tags) for tags in ("", "other"))
    assert [subprocess.run([one], capture_output=True, text=True).stderr for one in (plain, other)] == [
        "plain\n",
        "other\n",
    ]


def test_a_source_can_be_prepared_and_the_module_stays_as_it_is(module: Path) -> None:
    before = (module / "go.mod").read_text()
    prepared: list[Path] = []

    def prepare(copy: Path) -> None:
        prepared.append(copy)
        (copy / "dependency").mkdir()
        (copy / "dependency" / "go.mod").write_text("module example.com/dependency\n\ngo 1.21\n")
        (copy / "dependency" / "main.go").write_text('package main\n\nfunc main() { println("prepared") }\n')
        with (copy / "go.mod").open("a") as requirements:
            requirements.write(
                "require example.com/dependency v0.0.0\nreplace example.com/dependency => ./dependency\n"
            )

    key = golang.sources_hash(module, ["cmd"])
    made = golang.build(module, "example.com/dependency", "sample", key, prepare=prepare)
    assert subprocess.run([made], capture_output=True, text=True).stderr == "prepared\n"
    assert golang.build(module, "example.com/dependency", "sample", key, prepare=prepare) == made
    assert len(prepared) == 1
    assert not prepared[0].exists()
    assert (module / "go.mod").read_text() == before


def test_sources_that_are_not_required_are_refused(module: Path) -> None:
    with pytest.raises(StepFailed, match=r"does not require example\.com/other") as caught:
        golang.sources(module, "example.com/other")
    assert "go get example.com/other" in caught.value.remedy


def test_a_failed_build_shows_the_compilers_words_and_leaves_nothing(module: Path, tmp_path: Path) -> None:
    (module / "cmd" / "main.go").write_text("package main\n\nfunc main() { undefinedName() }\n")
    with pytest.raises(StepFailed, match="undefinedName"):
        _build(module)
    assert list((tmp_path / "cache").rglob("sample*")) == []


def test_without_go_the_remedy_is_told(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(golang, "INSTALLED", Path("/nowhere"))
    with pytest.raises(StepFailed, match="Go is not installed") as caught:
        _build(module)
    assert "install Go 1.21 or newer" in caught.value.remedy


def test_go_is_found_where_its_instructions_put_it(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = shutil.which("go")
    assert go
    monkeypatch.setattr(golang, "INSTALLED", Path(go).resolve().parent)
    monkeypatch.setenv("PATH", "/nowhere")
    assert _build(module, "-X main.word=found").exists()


def test_an_older_go_is_told_apart(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    (module / "go.mod").write_text("module example.com/sample\n\ngo 1.99\n")
    with pytest.raises(StepFailed, match="Go is too old"):
        _build(module)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://proxy.example.com,direct", "https://proxy.example.com"),
        ("https://a.example.com|https://b.example.com|direct", "https://a.example.com|https://b.example.com"),
    ],
)
def test_modules_are_never_cloned_directly(
    module: Path, monkeypatch: pytest.MonkeyPatch, given: str, used: str
) -> None:
    monkeypatch.setenv("GOPROXY", given)
    assert golang._environment(module, "sample")["GOPROXY"] == used


def test_a_proxy_is_used_where_only_direct_is_set(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "direct")
    used = golang._environment(module, "sample")["GOPROXY"]
    assert used.startswith("https://")
    assert "direct" not in used


def test_the_module_files_pin_the_versions_in_use() -> None:
    modules = {name: (place / "go.mod").read_text() for name, place in _MODULES.items()}
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PULUMI}" in modules["pulumi"]
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PULUMI}" in modules["plugins"]
    wanted = {re.search(r"^go (\S+)$", text, re.MULTILINE).group(1) for text in modules.values()}  # type: ignore[union-attr]
    assert len(wanted) == 1


_MODULES = {"pulumi": engine.MODULE, "plugins": plugins.MODULE}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_a_plugins_sources_are_all_that_it_is_built_from(plugin: object) -> None:
    sources = plugin.sources  # type: ignore[attr-defined]
    own = "github.com/okd-libvirt/toolchain/plugins/"
    for source in sources:
        for path in (plugins.MODULE / source).rglob("*.go"):
            for used in re.findall(rf'"{own}([^"]+)"', path.read_text()):
                assert any(used == place or used.startswith(f"{place}/") for place in sources), f"{path} uses {used}"


def test_versions_compare_by_number() -> None:
    assert at_least("3.257.0", "3.257.0")
    assert at_least("3.300.1", "3.257.0")
    assert at_least("4.0.0-dev", "3.257.0")
    assert not at_least("3.99.9", "3.257.0")
    assert not at_least("", "3.257.0")
    assert at_least("1.26rc1", "1.25.11")
