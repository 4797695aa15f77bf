"""Bundles and their documents."""

from __future__ import annotations

import hashlib
import json
import re
from fnmatch import fnmatch
from typing import Any

import pytest

from cluster.host_files import Bundle, HostFile, dump
from cluster.plan import Plan
from tests.cluster.conftest import planned
from tests.conftest import STACK_FILES

VALUES = {"ca-certificate": "CA\n", "registry-certificate": "CERT\n"}
SECRETS = {"registry-key": "KEY\n", "registry-htpasswd": "okd:$2a$10$abc\n"}
HASHES = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in SECRETS.items()}


def fedora(config: dict[str, Any]) -> None:
    config["services"]["operatingSystem"] = "fedora"


def unchanged(config: dict[str, Any]) -> None:
    """The stack as it ships."""


@pytest.fixture(
    params=[(stack, edit) for stack in sorted(STACK_FILES) for edit in (unchanged, fedora)],
    ids=lambda param: f"{param[0]}-{param[1].__name__}",
)
def plan(request: pytest.FixtureRequest) -> Plan:
    return planned(*request.param)


def documents(plan: Plan) -> dict[str, dict[str, Any]]:
    return {bundle.service: bundle.document(VALUES, HASHES) for bundle in plan.bundles}


def test_the_services(plan: Plan) -> None:
    assert [bundle.service for bundle in plan.bundles] == [
        "units",
        "firewall",
        "time",
        "dns",
        "dhcp",
        "boot",
        "http",
        "trust",
        "registry",
        "load-balancer",
    ]


def test_documents_hold_no_secret_and_name_its_hash(plan: Plan) -> None:
    text = "".join(dump(document) for document in documents(plan).values())
    assert "KEY" not in text
    assert "$2a$" not in text
    secrets = {f["secret"]: f for f in documents(plan)["registry"]["files"] if "secret" in f}
    assert {name: file["sha256"] for name, file in secrets.items()} == HASHES
    assert all(int(file["mode"], 8) & 0o007 == 0 for file in secrets.values())


def test_each_line_of_a_file_is_a_line_of_the_document(plan: Plan) -> None:
    for bundle in plan.bundles:
        document = json.loads(dump(bundle.document(VALUES, HASHES)))
        by_path = {entry["path"]: entry for entry in document["files"]}
        dumped = dump(document)
        for file in bundle.files:
            if file.text is not None:
                assert "\n".join(by_path[file.path]["lines"]) + "\n" == file.text
                assert all(json.dumps(line, ensure_ascii=False) in dumped for line in file.text.splitlines())


def test_no_two_bundles_deliver_or_own_the_same_place(plan: Plan) -> None:
    paths = [file.path for bundle in plan.bundles for file in bundle.files]
    assert len(paths) == len(set(paths))
    for bundle in plan.bundles:
        own = {file.path for file in bundle.files}
        for directory in bundle.owns:
            assert any(path.startswith(f"{directory}/") for path in own)
            assert not [path for path in set(paths) - own if path.startswith(f"{directory}/")]


def test_every_daemon_is_enabled_watched_and_restarted_after_a_failure(plan: Plan) -> None:
    for bundle in plan.services:
        if bundle.service == "trust":
            continue
        units = bundle.unit_files
        assert not [file for file in bundle.files if file.path.startswith("/etc/systemd/system/")], (
            "units travel together"
        )
        assert set(units) <= set(plan.units.files)
        assert bundle.units
        assert any("Restart=always" in str(file.text) for file in units), bundle.service
        assert bundle.health, bundle.service


def test_every_daemon_with_a_parser_is_checked_by_it(plan: Plan) -> None:
    first = {bundle.service: bundle.checks[0].argv[0] for bundle in plan.bundles if bundle.checks}
    assert first == {
        "firewall": "firewall-offline-cmd",
        "time": "chronyd",
        "dns": "named-checkconf",
        "dhcp": "kea-dhcp4",
        "http": "nginx",
        "registry": "openssl",
        "load-balancer": "haproxy",
    }


def test_checks_read_only_what_is_staged_under_etc(plan: Plan) -> None:
    for bundle in plan.bundles:
        named = {word for check in bundle.checks for word in check.argv if word.startswith("/") and "\n" not in word}
        assert all(path.startswith(("/etc/", "/bin/sh")) for path in named)


def restarts(bundle: Bundle) -> set[str]:
    return {file.path for file in bundle.files if any(fnmatch(file.path, glob) for glob in bundle.restart_on)}


def test_a_change_of_machines_restarts_nothing() -> None:
    def edit(config: dict[str, Any]) -> None:
        config["machines"]["compute-7"] = {"address": "192.168.200.27"}

    before, after = planned("dev"), planned("dev", edit)
    changed = set()
    for old, new in zip(before.bundles, after.bundles, strict=True):
        if old != new:
            changed.add(new.service)
            old_files = {file.path: file for file in old.files}
            touched = {file.path for file in new.files if old_files.get(file.path) != file}
            assert not touched & restarts(new), new.service
    assert changed == {"dns", "dhcp", "boot", "load-balancer"}


def test_selinux_is_fedoras_alone() -> None:
    debian, fedoras = documents(planned("dev")), documents(planned("dev", fedora))
    assert not any("selinux" in document or "selinux" in str(document["files"]) for document in debian.values())
    assert fedoras["load-balancer"]["selinux"] == {
        "booleans": ["haproxy_connect_any"],
        "ports": [
            {"port": 6443, "protocol": "tcp", "type": "http_port_t"},
            {"port": 22623, "protocol": "tcp", "type": "http_port_t"},
        ],
    }
    assert all("selinux" in file for file in fedoras["http"]["files"])


def test_the_registry_waits_for_its_data_volume(plan: Plan) -> None:
    registry = next(bundle for bundle in plan.bundles if bundle.service == "registry")
    assert any("RequiresMountsFor=/var/lib/okd-registry" in str(file.text) for file in registry.unit_files)
    assert [bundle.service for bundle in plan.bundles if bundle.on_data_volume] == ["registry"]
    mount = next(file for file in plan.units.files if file.path.endswith(f"/{plan.storage_document()['unit']}"))
    assert "Where=/var/lib/okd-registry\n" in str(mount.text)
    assert plan.storage_document()["mountPoint"] == "/var/lib/okd-registry"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "exactly one"),
        ({"text": "a\n", "value": "b"}, "exactly one"),
        ({"text": "no end"}, "no end"),
        ({"value": "key", "secret": True}, "closed to others"),
        ({"text": "a\n", "secret": True, "mode": "0600"}, "deploy-time value"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(content: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HostFile(path="/etc/x", **content)


def test_a_missing_value_is_an_error() -> None:
    trust = next(bundle for bundle in planned("dev").bundles if bundle.service == "trust")
    with pytest.raises(KeyError, match="ca-certificate"):
        trust.document({}, {})


def test_packages_are_listed_once_and_cover_every_bundle(plan: Plan) -> None:
    assert len(plan.packages) == len(set(plan.packages))
    assert {package for bundle in plan.bundles for package in bundle.packages} <= set(plan.packages)
    assert plan.host_document()["packages"]["manager"] in ("apt", "dnf")


def test_systemds_files_are_delivered_as_one_and_start_nothing(plan: Plan) -> None:
    document = plan.units.document(VALUES, HASHES)
    assert document["starts"] is False
    assert set(document["units"]) == {unit for bundle in plan.services for unit in bundle.units}
    assert all(entry["path"].startswith("/etc/systemd/system/") for entry in document["files"])
    assert not document["reload"]


def test_systemd_gives_a_daemon_and_the_data_volume_as_long_as_the_agent_does(plan: Plan) -> None:
    for file in plan.units.files:
        assert re.search(r"^(TimeoutStartSec|TimeoutSec|JobRunningTimeoutSec)=1800$", str(file.text), re.MULTILINE), (
            file
        )
