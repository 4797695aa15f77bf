"""Mistakes with Pulumi itself: an old one, a passphrase that is forgotten or lost, no place for the state."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from lab.toolchain.versions import PULUMI
from tests.conftest import ROOT
from tests.newcomer.conftest import STACK, Clone, told

pytestmark = pytest.mark.toolchain
_PREVIEW = ("pulumi", "preview", "--stack", STACK, "--non-interactive")


def test_plain_pulumi_without_the_passphrase_names_its_variable(made: Clone) -> None:
    told(made.run(*_PREVIEW, **made.plain()), "passphrase must be set with PULUMI_CONFIG_PASSPHRASE")


def test_plain_pulumi_without_a_place_for_its_state_is_told_where_to_work(made: Clone) -> None:
    told(made.run(*_PREVIEW, **made.plain(PULUMI_BACKEND_URL="")), "PULUMI_ACCESS_TOKEN must be set")


def test_a_wrong_passphrase_is_told_with_where_the_right_one_belongs(made: Clone) -> None:
    passphrase = made.root / ".lab" / "passphrase"
    right = passphrase.read_text()
    passphrase.write_text("another one")
    text = told(made.make("preview", f"STACK={STACK}"), "incorrect passphrase", "to do: ", "Put the right one back")
    assert right not in text
    assert "another one" not in text


@pytest.mark.parametrize(("verb", "left"), [("up", None), ("up", "\n"), ("down", None)])
def test_a_lost_passphrase_is_not_replaced_by_a_new_one(made: Clone, verb: str, left: str | None) -> None:
    passphrase = made.root / ".lab" / "passphrase"
    passphrase.unlink()
    if left is not None:
        passphrase.write_text(left)
    text = told(made.make(verb, f"STACK={STACK}"), "holds mine", "put the file back from a copy", "nothing was created")
    assert f"{passphrase} is {'gone' if left is None else 'empty'}" in text
    assert passphrase.exists() == (left is not None)


def test_a_passphrase_of_the_users_own_is_not_missed_in_the_lab_s_file(made: Clone, tmp_path: Path) -> None:
    passphrase = made.root / ".lab" / "passphrase"
    kept = tmp_path / "kept"
    shutil.move(passphrase, kept)
    done = made.make("output", f"STACK={STACK}", PULUMI_CONFIG_PASSPHRASE_FILE=str(kept))
    assert done.returncode == 0, done.stdout


def test_a_pulumi_older_than_the_program_needs_is_told_which_one_it_needs(made: Clone, tmp_path: Path) -> None:
    engine = made.root / ".lab" / "bin" / "pulumi"
    version = made.run(str(engine), "version", **made.plain()).stdout.strip()
    older = re.sub(r"^v3\.\d", "v3.1", version)
    assert older < version
    # The version is text in the program: what decides is the real engine, which takes itself for an older one.
    (tmp_path / "pulumi").write_bytes(engine.read_bytes().replace(version.encode(), older.encode()))
    (tmp_path / "pulumi").chmod(0o755)
    path = f"{tmp_path}:{made.root}/.lab/bin:{made.environment['PATH']}"
    secret = f"{made.root}/.lab/passphrase"
    done = made.run(*_PREVIEW, **made.plain(PATH=path, PULUMI_CONFIG_PASSPHRASE_FILE=secret))
    told(done, older.removeprefix("v"), f">={PULUMI}")


def test_the_project_asks_for_the_pulumi_that_everything_is_tested_with() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert project["requiredPulumiVersion"] == f">={PULUMI}"
