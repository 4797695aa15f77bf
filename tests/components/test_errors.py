"""Errors that a user can mend are shown as messages, without a traceback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pulumi
import pytest
import yaml

from cluster.settings import SettingsError
from components import config
from components.image import image_digest
from tests.conftest import ROOT


def test_a_missing_image_ends_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match=r"services\.image\.location.*no such file.*make image"):
        image_digest(str(tmp_path / "none.qcow2"), None)


def test_another_image_than_declared_ends_in_a_message(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(b"another")
    with pytest.raises(pulumi.RunError, match=r"services\.image\.sha256.*not the image that was reviewed"):
        image_digest(str(image), "0" * 64)


def test_an_engine_that_is_too_old_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(versions: str) -> None:
        asked.append(versions)
        raise Exception("Pulumi CLI version 3.200.0 does not satisfy it")

    monkeypatch.setattr(pulumi, "require_pulumi_version", refuse)
    with pytest.raises(pulumi.RunError, match=r"takes Pulumi >=3\.257\.0: .*3\.200\.0.*install a newer one"):
        asyncio.run(config.planned({}))
    assert asked == [yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["requiredPulumiVersion"]]


def test_a_key_that_pulumi_has_changed_is_in_the_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text("config:\n  okd-libvirt:pools:\n    08: {}\n")
    monkeypatch.setattr(config, "PROJECT", tmp_path)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "x")
    monkeypatch.setattr(pulumi, "get_project", lambda: "okd-libvirt")
    monkeypatch.setattr(config, "CONFIG", SimpleNamespace(get=lambda: {"okd-libvirt:pools": '{"8": {}}'}))
    with pytest.raises(SettingsError, match=r"Pulumi\.x\.yaml\n.*line 3: 08 would be read as the number 8"):
        config._settings(stands=False)
