"""Every remedy points at the console log: a machine prints there while it is installed, and at each boot afterwards."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from cluster import boot
from cluster.machines import Machine
from cluster.plan import Plan
from tests.cluster.certificates import CERTIFICATE
from tests.cluster.conftest import planned
from tests.conftest import ROOT

DEFAULT = ["console=tty0", "console=ttyS0,115200n8"]


def plan_with(image: list[str], compute: list[str]) -> Plan:
    def edit(config: dict[str, Any]) -> None:
        config["bootImage"] = {"kernelArguments": image}
        config["machines"]["compute-0"]["kernelArguments"] = compute

    return planned("hard-way", edit)


def machine(plan: Plan, name: str) -> Machine:
    return next(one for one in plan.machines if one.name == name)


def live(plan: Plan, name: str) -> list[str]:
    return [one for one in boot.kernel_arguments(plan, machine(plan, name)) if one.startswith("console=")]


def served(plan: Plan, name: str) -> str:
    """The live system's ignition config, from where the machine's kernel arguments say that it is."""
    given = dict(one.partition("=")[::2] for one in boot.kernel_arguments(plan, machine(plan, name)))
    assert given["ignition.firstboot"] == ""
    path = given["ignition.config.url"].replace(plan.http_url, "/var/www/okd")
    (text,) = [file.text for bundle in plan.bundles for file in bundle.files if file.path == path]
    return str(text)


def installed(plan: Plan, name: str) -> list[str]:
    """What coreos-installer is told to append."""
    (file,) = json.loads(served(plan, name))["storage"]["files"]
    assert Path(file["path"]).parent == Path("/etc/coreos/installer.d")
    options = yaml.safe_load(unquote(file["contents"]["source"].removeprefix("data:,")))
    assert set(options) == {"append-karg"}
    return list(options["append-karg"])


@pytest.mark.parametrize("name", ["bootstrap", "control-plane-0", "compute-0", "infra-0", "storage-0"])
def test_every_machine_prints_on_its_serial_port_while_it_is_installed_and_afterwards(
    hard_way: Plan, name: str
) -> None:
    assert live(hard_way, name) == installed(hard_way, name) == DEFAULT


@pytest.mark.parametrize(
    ("image", "compute", "of_compute", "of_others"),
    [
        (["quiet"], ["nosmt"], DEFAULT, DEFAULT),
        (["console=ttyS1,9600"], [], ["console=ttyS1,9600"], ["console=ttyS1,9600"]),
        ([], ["console=hvc0"], ["console=hvc0"], DEFAULT),
        (["console=tty0"], ["console=ttyS0"], ["console=tty0", "console=ttyS0"], ["console=tty0"]),
    ],
)
def test_a_console_of_the_users_own_takes_the_place_of_these(
    image: list[str], compute: list[str], of_compute: list[str], of_others: list[str]
) -> None:
    plan = plan_with(image, compute)
    assert live(plan, "compute-0") == installed(plan, "compute-0") == of_compute
    assert live(plan, "control-plane-0") == installed(plan, "control-plane-0") == of_others


def test_what_a_cluster_is_installed_from_does_not_change_by_it(hard_way: Plan) -> None:
    given = {"release": "r", "version": "v", "digest": "d"}
    hashes = dict.fromkeys(hard_way.ignition_secrets, "")
    document = hard_way.ignition(
        release=given, ca_certificate=CERTIFICATE, login_key="", hashes=hashes, generation="", cluster=""
    )
    assert "console=" not in json.dumps(document)


def test_the_miniature_prints_there_only_because_its_installer_is_told(hard_way: Plan, tmp_path: Path) -> None:
    config = tmp_path / "live.ign"
    config.write_text(served(hard_way, "compute-0"))
    script = ROOT / "lab/image/miniature/appended"
    said = subprocess.run(["busybox", "sh", script, config], capture_output=True, text=True, check=True).stdout
    assert said.split() == DEFAULT
    config.write_text("")
    assert not subprocess.run(["busybox", "sh", script, config], capture_output=True, text=True, check=True).stdout
    assert "console=" not in (ROOT / "lab/image/machine/boot/grub/grub.cfg").read_text()
