"""A preview changes nothing: the hypervisor, its network, its processes and all files are compared, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.clone import Clone
from tests.end_to_end.untouched import nothing_changes


def test_a_preview_of_changed_settings_on_a_running_stack_touches_nothing(clone: Clone) -> None:
    def change(config: dict[str, Any]) -> None:
        config["okd-libvirt:machines"]["compute-1"]["memoryMiB"] = 576
        config["okd-libvirt:machines"]["compute-2"] = {"address": "192.168.200.22"}
        config["okd-libvirt:uplink"]["expose"] = [6443, 443]
        config["okd-libvirt:services"]["memoryMiB"] = 2304

    before = clone.change_settings(change)
    try:
        with nothing_changes(clone):
            steps = clone.changes()
            shown = clone.stack("preview").ok().text
    finally:
        clone.settings_file.write_text(before)
    assert "replace" in steps["compute-1-domain"]
    assert "replace" in steps["services-domain"]
    assert steps["compute-2-domain"] == "create"
    assert "compute-2" in shown
    clone.pulumi("preview", "--expect-no-changes").ok()


@pytest.mark.parametrize(("setting", "value"), [("cidr", "192.168.125.0/24"), ("mtu", 1400)])
def test_a_preview_that_is_refused_touches_nothing(clone: Clone, setting: str, value: Any) -> None:
    before = clone.change_settings(lambda config: config["okd-libvirt:network"].update({setting: value}))
    try:
        with nothing_changes(clone):
            refused = clone.stack("preview")
    finally:
        clone.settings_file.write_text(before)
    assert refused.code != 0
    assert f"network.{setting}" in refused.text
