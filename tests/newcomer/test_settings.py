"""Settings that cannot be used: told by `make up` before any tool is built, and nothing is created."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import review, stack_file
from tests.newcomer.conftest import Clone, told

pytestmark = pytest.mark.toolchain


def test_wrong_settings_are_told_together_before_anything_is_built(clone: Clone) -> None:
    machines = {"compute-0": {"address": "192.168.200.20", "mac": "52:54:00:00:0g:01"}}
    clone.write(machines={**machines, "compute-1": {"adress": "192.168.200.21"}})
    clone.lend_tools(engine=False)
    before = clone.files()
    text = told(
        clone.make("up", "STACK=mine"),
        "problems in the stack's settings or on its libvirt host; nothing was created or changed",
    )
    for words in (
        "- machines.compute-0.mac = 52:54:00:00:0g:01",
        "- machines.compute-1.adress",
        "did you mean address?",
    ):
        assert words in text
    assert text.count("harm:") == text.count("fix:") == text.count("\n- ")
    assert clone.files() - before == {
        f"{clone.root}/.lab/{name}" for name in ("mine.run", "set-up.lock", "toolchain.lock")
    }


def test_a_stack_file_that_is_no_yaml_is_told_with_its_line_before_anything_is_built(clone: Clone) -> None:
    clone.settings.write_text("config:\n  okd-libvirt:cluster:\n  - name: okd\n    baseDomain: [lab.example\n")
    clone.lend_tools(engine=False)
    told(clone.make("up", "STACK=mine"), "Pulumi.mine.yaml is not the YAML that Pulumi reads", "line 5, column 1")
    assert not (clone.root / ".lab" / "bin").exists()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stack_file, "PROJECT", tmp_path)
    return tmp_path / "Pulumi.mine.yaml"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("config:\n\tokd-libvirt:cluster: {}\n", "line 2"),
        ("config:\n  okd-libvirt:cluster: {name: a}\n  okd-libvirt:cluster: {name: b}\n", "given twice"),
        ("config: [cluster]\n", "a mapping belongs under `config:`"),
        ("just words\n", "a mapping belongs under `config:`"),
    ],
)
def test_a_stack_file_of_another_form_is_told_what_is_wrong(
    written: Path, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    written.write_text(text)
    assert review.main(["--stack", "mine"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Pulumi.mine.yaml is not the YAML that Pulumi reads: ")
    assert word in said


def test_settings_that_only_pulumi_can_read_are_left_to_it(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written.write_text("config:\n  okd-libvirt:cluster: {secure: v1:abc}\n")
    assert review.main(["--stack", "mine"]) == 0
    assert "only Pulumi can read cluster" in capsys.readouterr().out


def test_a_section_may_be_text_as_pulumi_config_set_writes_it(written: Path) -> None:
    written.write_text("""config:\n  okd-libvirt:cluster: '{"baseDomain": "lab.example"}'\n""")
    assert stack_file.stack_config(written) == {"cluster": {"baseDomain": "lab.example"}}
