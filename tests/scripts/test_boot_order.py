"""The order in which a services host boots: systemd itself looks for cycles, over the units of Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from cluster.host_os import CLOUD_INIT_OFF
from cluster.plan import Plan
from cluster.settings import Settings
from tests.conftest import stack_config
from tests.scripts import debian_units
from tests.scripts.host import Host

pytestmark = pytest.mark.daemons
TARGET = "etc/systemd/system/multi-user.target.wants/cloud-init.target"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Debian's cloud image as far as systemd looks at it before anything is enabled."""
    made = tmp_path / "tree"
    shutil.copytree(debian_units.unpacked() / "usr", made / "usr", symlinks=True)
    (made / "lib").symlink_to("usr/lib")
    (made / "etc/systemd/system").mkdir(parents=True)
    (made / "usr/lib/systemd/system/default.target").unlink(missing_ok=True)
    (made / "usr/lib/systemd/system/default.target").symlink_to("multi-user.target")
    enable(made, [*debian_units.CLOUD_INIT, *debian_units.ENABLED])
    return made


def enable(tree: Path, names: Iterable[str]) -> None:
    units = [f"{name.partition('=')[0]}.service" for name in names]
    environment = {**os.environ, "SYSTEMCTL_SKIP_SYSV": "1"}
    subprocess.run(["systemctl", f"--root={tree}", "enable", *units], env=environment, check=True, capture_output=True)


def delivered(tree: Path) -> None:
    """What the program adds to the daemons' units."""
    plan = Plan.of(Settings.parse(stack_config("dev"), "dev", look_at_files=False))
    for file in plan.units.files:
        path = tree / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(file.text))


def cycles(tree: Path, *, cloud_init: bool) -> list[str]:
    """What systemd says of cycles when the host boots; `cloud_init` as its generator would have it."""
    link = tree / TARGET
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    if cloud_init:
        link.symlink_to("/lib/systemd/system/cloud-init.target")
    argv = ["systemd-analyze", f"--root={tree}", "--man=no", "--generators=no", "verify", "default.target"]
    said = subprocess.run(argv, capture_output=True, text=True).stderr.splitlines()
    return [line for line in said if "ordering cycle" in line or "Found dependency" in line]


def test_the_first_boot_has_no_cycle_since_firewalld_is_not_there_yet(tree: Path) -> None:
    assert cycles(tree, cloud_init=True) == []


def test_the_first_boot_has_none_with_the_other_daemons_either_as_in_the_lab(tree: Path) -> None:
    delivered(tree)
    enable(tree, [name for name in debian_units.DAEMONS if name != "firewalld"])
    assert cycles(tree, cloud_init=True) == []


def test_cloud_init_and_firewalld_in_one_boot_are_a_cycle(tree: Path) -> None:
    enable(tree, ["firewalld"])
    found = "\n".join(cycles(tree, cloud_init=True))
    assert "cloud-init.service/start" in found
    assert "network-pre.target/start" in found


def test_later_boots_have_every_service_and_no_cycle(tree: Path) -> None:
    delivered(tree)
    enable(tree, debian_units.DAEMONS)
    assert cycles(tree, cloud_init=False) == []


def test_cloud_inits_own_generator_leaves_it_out_of_later_boots(host: Host, tmp_path: Path) -> None:
    generator = debian_units.unpacked() / "usr/lib/systemd/system-generators/cloud-init-generator"
    link = "multi-user.target.wants/cloud-init.target"
    host.run("cp", str(generator), "/run/generator")
    host.sh("mkdir -p /etc/cloud /run/first /run/later")
    host.sh("/run/generator /run/first /run/first /run/first")
    assert host.sh(f"readlink /run/first/{link}") == "/lib/systemd/system/cloud-init.target\n"
    host.write(CLOUD_INIT_OFF, "off\n")
    host.sh("/run/generator /run/later /run/later /run/later")
    assert "No such file" in host.sh(f"ls /run/later/{link}", check=False)
    assert "disabled" in host.sh("ls /run/cloud-init").split()
