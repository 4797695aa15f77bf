"""Manifests are read as the real oc reads them, whatever their form."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import user_manifests
from lab.release import tools
from tests.cluster.test_go_yaml import SEVERAL, SINGLE
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.release

TEXTS = {**{name: ("a.yaml", text) for name, text in SINGLE.items()}, **SEVERAL}


def read_by_oc(path: Path) -> list[Any]:
    argv = [tools.oc(), "annotate", "--local", "--overwrite", "-f", path, "-o", "json", "read-by=oc"]
    home = {"HOME": str(path.parent.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=home, timeout=PATIENCE_SECONDS)
    found, rest = [], done.stdout.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        del value["metadata"]["annotations"]
        found.append(value)
        rest = rest[end:].strip()
    return found


def test_oc_reads_the_same_objects_in_every_form(tmp_path: Path) -> None:
    for number, (name, text) in enumerate(TEXTS.values()):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / name).write_bytes(text.encode())
        found, faults = user_manifests.load(directory)
        assert faults == []
        assert [one.object for one in found] == read_by_oc(directory / name), text
        # Each file that is made has its object in the first document, where the bootstrap machine looks.
        for one in found:
            (directory / "made.yaml").write_text(one.text)
            assert read_by_oc(directory / "made.yaml") == [one.object], text
