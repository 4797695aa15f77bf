"""Every rendered file goes through the parser of the daemon that will read it, at the path where it will lie."""

from __future__ import annotations

import configparser
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from cluster import manifests
from cluster.host_files import Bundle
from tests.conftest import ROOT, STACK_FILES
from tests.rendering.conftest import SYSTEMS, NewHouse, plan_of
from tests.rendering.house import House

pytestmark = pytest.mark.daemons
# The registry program has another name on Fedora, and is one and the same.
FEDORAS_REGISTRY = "/usr/bin/registry"


@pytest.fixture(
    scope="module", params=[(stack, system) for stack in sorted(STACK_FILES) for system in SYSTEMS], ids=str
)
def house(request: pytest.FixtureRequest, new_house: NewHouse) -> House:
    return new_house(plan_of(*request.param))


def bundle(house: House, service: str) -> Bundle:
    return next(bundle for bundle in house.plan.bundles if bundle.service == service)


@pytest.mark.parametrize("service", ["firewall", "time", "dns", "dhcp", "http", "registry", "load-balancer"])
def test_the_daemons_own_parser_accepts_it(house: House, service: str) -> None:
    checks = bundle(house, service).checks
    assert checks
    for check in checks:
        argv = [word.replace(f"{FEDORAS_REGISTRY} serve", "docker-registry serve") for word in check.argv]
        done = house.run(*argv)
        assert done.returncode == 0, f"{check.name}: {done.stdout}{done.stderr}"
        assert not re.search(r"\bwarn", done.stdout + done.stderr, re.IGNORECASE), (
            f"{check.name}: {done.stdout}{done.stderr}"
        )


def test_nothing_is_written_outside_the_house(house: House) -> None:
    for one in house.plan.bundles:
        for file in one.files:
            inside, outside = house.root / file.path[1:], Path(file.path)
            if file.copy_of is None or Path(file.copy_of).exists():
                assert inside.exists()
            assert not outside.exists() or not outside.samefile(inside), file.path


def test_named_checkconf_says_nothing_but_what_it_loaded(house: House) -> None:
    done = house.run("named-checkconf", "-z", house.plan.host_os.dns.config)
    lines = (done.stdout + done.stderr).splitlines()
    assert all(re.fullmatch(r"zone \S+/IN: loaded serial \d+", line) for line in lines), lines
    assert len(lines) == 2


def test_units_are_read_by_systemd(house: House) -> None:
    whole = [file for bundle in house.plan.bundles for file in bundle.files if file.path.endswith(".service")]
    assert [file.path for file in whole] == [house.plan.host_os.tftp.config]
    done = house.run("systemd-analyze", "verify", "--man=no", whole[0].path)
    name = whole[0].path.rsplit("/", 1)[-1]
    assert not [line for line in done.stderr.splitlines() if name in line], done.stderr


def test_drop_ins_hold_sections_and_keys_that_systemd_knows(house: House) -> None:
    known = {
        "Unit": {"StartLimitIntervalSec", "Wants", "After", "RequiresMountsFor"},
        "Service": {"Restart", "RestartSec", "TimeoutStartSec", "ExecReload", "LimitNOFILE"},
    }
    drop_ins = [file for bundle in house.plan.bundles for file in bundle.files if ".service.d/" in file.path]
    assert len(drop_ins) == 7
    for file in drop_ins:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(str(file.text))
        assert {name: set(parser[name]) - keys for name, keys in known.items()} == {"Unit": set(), "Service": set()}
        assert set(parser.sections()) == set(known)


def test_structured_files_are_well_formed(house: House) -> None:
    for one in house.plan.bundles:
        for file in one.files:
            if file.path.endswith("kea-dhcp4.conf"):
                json.loads(str(file.text))
            elif file.path.endswith((".yml", ".yaml")):
                yaml.safe_load(str(file.text))
            elif file.path.endswith(".xml"):
                ElementTree.fromstring(str(file.text).encode())


def test_ascii_only_and_no_trailing_blanks(house: House) -> None:
    for one in house.plan.bundles:
        for file in one.files:
            text = file.text or ""
            assert text.isascii(), file.path
            assert not re.search(r"[ \t]$", text, re.MULTILINE), file.path


@pytest.mark.parametrize("path", [ROOT / "Pulumi.yaml", *STACK_FILES.values()], ids=lambda path: path.name)
def test_stack_files_are_tidy_yaml(path: Path) -> None:
    text = path.read_text()
    assert yaml.safe_load(text)
    assert "\t" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert text.endswith("\n")


@pytest.mark.parametrize("source", plan_of("dev").host_os.boot_loader)
def test_the_boot_loaders_are_where_debians_packages_put_them(source: str) -> None:
    assert Path(source).stat().st_size > 10_000


def test_chronyd_reads_what_the_nodes_are_given(house: House) -> None:
    house.write("/etc/chrony-node.conf", manifests.chrony_config(house.plan))
    done = house.run("chronyd", "-p", "-f", "/etc/chrony-node.conf")
    assert done.returncode == 0, done.stderr
    assert f"server {house.plan.services_address} iburst" in done.stdout.splitlines()
