"""What the layout promises: a pure half, small modules, no template without a user."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "cluster").glob("*.py"))
TEMPLATES = sorted((ROOT / "templates").glob("*.j2"))


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_pure_half_never_imports_pulumi(path: Path) -> None:
    assert not {name for name in imported(path) if name.startswith("pulumi") or name == "components"}


def test_nothing_it_imports_brings_pulumi_in() -> None:
    code = "import sys, cluster.plan, cluster.review; print([name for name in sys.modules if 'pulumi' in name])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_fits_the_limit_and_says_what_it_owns(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    docstring = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    assert path.name == "__init__.py" or ("Owns" in docstring and "Does not own" in docstring)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_is_one_screen_and_is_used(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
    users = [*MODULES, *(ROOT / "components").glob("*.py")]
    assert any(f'"{path.name}"' in user.read_text() for user in users)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_loops_but_does_not_compute(path: Path) -> None:
    assert "{% set" not in path.read_text()
    assert "{% macro" not in path.read_text()
