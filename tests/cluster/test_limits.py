"""Slowness is never a failure: every limit on a wait stands in one table and is long enough."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import limits
from cluster.limits import Glance, Try, Wait
from tests.conftest import ROOT

SOURCES = [path for place in ("components", "lab", "scripts/okd_host") for path in sorted((ROOT / place).rglob("*.py"))]
TIMED = {"timeout", "limit", "wait", "takes", "undo_takes", "per_dial_timeout", "create", "update", "delete", "seconds"}
NAMED = re.compile(r"(LIMIT|TIMEOUT|PATIENCE|WAIT|SETTLE|DEADLINE)S?(_SECONDS)?$")
# Bytes, not seconds.
SIZES = {"COPY_LIMIT", "_MEMORY_LIMITS"}


@pytest.mark.parametrize("name", [name for name, one in limits.TABLE.items() if isinstance(one, Wait)])
def test_a_wait_is_ten_minutes_at_least_and_says_why(name: str) -> None:
    wait = limits.TABLE[name]
    assert wait.seconds >= 600
    assert len(wait.reason) > 20


@pytest.mark.parametrize("name", [name for name, one in limits.TABLE.items() if isinstance(one, Try)])
def test_a_try_is_asked_again_inside_a_wait_of_the_table(name: str) -> None:
    one = limits.TABLE[name]
    assert isinstance(one, Try)
    assert any(one.inside is wait for wait in limits.TABLE.values())
    assert one.inside.seconds >= 3 * one.seconds
    assert len(one.reason) > 20


@pytest.mark.parametrize("name", [name for name, one in limits.TABLE.items() if isinstance(one, Glance)])
def test_a_glance_says_why_its_silence_harms_nobody(name: str) -> None:
    assert len(limits.TABLE[name].reason) > 20


def test_the_agent_carries_the_same_table() -> None:
    assert os.path.samefile(ROOT / "scripts/okd_host/limits.py", ROOT / "cluster/limits.py")


def _seconds_of_its_own(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where a module gives a time limit as a number, instead of naming one of the table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords:
                if keyword.arg in TIMED and _number(keyword.value):
                    yield node.lineno, f"{called}({keyword.arg}=…)"
            positional = {"settimeout": 0, "create_connection": 1, "CustomTimeouts": 0}.get(called)
            if positional is not None and len(node.args) > positional and _number(node.args[positional]):
                yield node.lineno, called
        elif isinstance(node, ast.Assign) and _number(node.value):
            for target in node.targets:
                name = getattr(target, "id", "")
                if NAMED.search(name) and name not in SIZES:
                    yield node.lineno, name


def _number(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) or bool(re.fullmatch(r"\d+[smh]", str(node.value)))
    return isinstance(node, ast.BinOp) and _number(node.left) and _number(node.right)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_has_a_limit_of_its_own(path: Path) -> None:
    if path.name == "limits.py":
        return
    found = list(_seconds_of_its_own(ast.parse(path.read_text())))
    assert not found, f"{path.relative_to(ROOT)}: name a limit of cluster/limits.py instead: {found}"


def test_every_limit_of_the_table_is_used() -> None:
    sources = [*SOURCES, *(ROOT / "cluster").rglob("*.py")]
    texts = [path.read_text() for path in sources if path.name != "limits.py"]
    kept = [one.inside for one in limits.TABLE.values() if isinstance(one, Try)]
    unused = [
        name
        for name, one in limits.TABLE.items()
        if one not in kept and not any(re.search(rf"\b{name}\b", text) for text in texts)
    ]
    assert unused == [], "nothing waits by them any more"
