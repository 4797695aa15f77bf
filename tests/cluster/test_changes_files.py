"""Diffs of rendered files: what was delivered last against what is planned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.changes import files
from cluster.changes.standing import Standing
from cluster.plan import Plan
from tests.cluster.conftest import Change, planned
from tests.cluster.state import SECRET, standing


def section(where: str, **keys: Any) -> Change:
    return lambda config: config.setdefault(where, {}).update(keys)


def diffs(change: Change, was: Change = lambda config: None) -> list[str]:
    return files.diffs(standing(planned("dev", was), planned("dev", change)))


def of(path: str, found: list[str]) -> str:
    (one,) = [text for text in found if text.startswith(f"--- {path} ")]
    return one


@pytest.mark.parametrize("stack", ["dev", "hard-way", "prod"])
@pytest.mark.parametrize("installed", [True, False])
def test_the_same_settings_change_no_file(stack: str, installed: bool) -> None:
    plan = standing(planned(stack), planned(stack), installed=installed)
    assert files.diffs(plan) == []
    assert files.changed(Standing.of(plan.before), plan) == {}


def test_a_new_stack_has_no_diffs(dev: Plan) -> None:
    assert files.diffs(dev) == []


def test_a_changed_file_shows_its_changed_lines() -> None:
    found = diffs(section("uplink", expose=[6443, 443]))
    assert of("/etc/haproxy/haproxy.cfg", found).splitlines()[:2] == [
        "--- /etc/haproxy/haproxy.cfg (now)",
        "+++ /etc/haproxy/haproxy.cfg (planned)",
    ]
    assert "+    bind 192.168.125.10:443" in of("/etc/haproxy/haproxy.cfg", found)
    assert '+  <port port="443" protocol="tcp"/>' in of("/etc/firewalld/zones/okd-uplink.xml", found)
    assert len(found) == 2


def test_new_and_removed_files_are_told_from_changed_ones() -> None:
    def change(config: dict[str, Any]) -> None:
        del config["machines"]["compute-1"]
        config["machines"]["compute-2"] = {"address": "192.168.200.22"}

    found = diffs(change)
    assert any("--- /dev/null (now)\n+++ /srv/tftp/pxelinux.cfg/01-" in one and "+# compute-2" in one for one in found)
    assert any("+++ /dev/null (planned)" in one and "-# compute-1: compute" in one for one in found)


def test_a_file_under_another_name_is_not_shown_twice() -> None:
    def change(config: dict[str, Any]) -> None:
        config["machines"]["compute-1"]["mac"] = "52:54:00:00:00:01"

    profile, script, dhcp = diffs(change)
    assert profile.splitlines()[1:] == [
        "+++ /srv/tftp/pxelinux.cfg/01-52-54-00-00-00-01 (planned)",
        "(the same under another name)",
    ]
    assert "mac-52-54-00-00-00-01.ipxe (planned)" in script
    assert '+            "hw-address": "52:54:00:00:00:01",' in dhcp


def test_the_same_change_of_many_files_is_shown_once() -> None:
    found = diffs(section("bootImage", kernelArguments=["console=ttyS1"]))
    assert len(found) == 7, "one for each boot loader and ignition config, and the live system's"
    assert any("console=ttyS1%0A" in one for one in found)
    assert any("the same in " in one and one.count("/srv/tftp/pxelinux.cfg/") == 4 for one in found)


def test_what_only_the_installer_reads_is_shown_too() -> None:
    found = diffs(section("install", clusterNetwork="10.64.0.0/14", chrony=False, sshKeys=[]))
    config = of("/var/lib/okd-registry/okd-libvirt/install-config.yaml", found)
    assert "-  - cidr: 10.128.0.0/14" in config
    assert "+  - cidr: 10.64.0.0/14" in config
    assert any("99-okd-chrony-master.yaml (now)\n+++ /dev/null (planned)" in one for one in found)


def test_the_seed_of_the_services_host_is_shown_without_its_keys() -> None:
    found = diffs(section("services", address="192.168.200.253"))
    assert "+    - 192.168.200.253/24" in of("/cloud-init/network-config", found)
    assert not any("user-data" in one for one in found)


def test_the_image_set_is_shown_where_oc_mirror_reads_one() -> None:
    engine = section("release", engine="oc-mirror")
    found = diffs(
        lambda config: config["release"].update(engine="oc-mirror", additionalImages=[f"a.io/b@sha256:{'a' * 64}"]),
        engine,
    )
    assert any(
        "/imageset-config.yaml (planned)" in one and f"+  - name: a.io/b@sha256:{'a' * 64}" in one for one in found
    )


def everything(config: dict[str, Any]) -> None:
    config["network"]["router"] = "192.168.200.1"
    config["uplink"] = {"cidr": "192.168.126.0/24", "expose": [443], "resolvers": ["10.0.0.53"]}
    config["services"] |= {"operatingSystem": "fedora", "address": "192.168.200.253"}
    config["cluster"]["name"] = "other"
    config["install"] = {"adminUser": {"enabled": False}, "ingressCertificate": False, "imageRegistry": "default"}


def test_secrets_and_what_is_made_late_are_never_shown() -> None:
    found = "\n".join(diffs(everything))
    assert "/etc/named.conf" in found
    for word in (SECRET, "made late", "1" * 64, "PRIVATE KEY"):
        assert word not in found


def test_a_file_that_becomes_secret_is_not_shown_either() -> None:
    plan = standing(planned("dev"), planned("dev"))
    for one in plan.before.resources:
        if one["urn"].endswith("::ignition-set"):
            header, _, text = one["outputs"]["stdin"].partition("\n")
            document = json.loads(text)
            name = next(iter(document["secretManifests"]))
            document["manifests"][name] = f"password: {SECRET}\n"
            del document["secretManifests"][name]
            one["outputs"]["stdin"] = f"{header}\n{json.dumps(document)}"
    assert files.diffs(plan) == []


def test_many_changes_are_cut_and_the_rest_is_named_with_how_to_see_it() -> None:
    found = diffs(everything)
    assert sum(len(one.splitlines()) for one in found) < 300
    assert "more files change: " in found[-2]
    assert found[-1].endswith("`make render STACK=dev OUT=directory`")
    assert all(len(one.splitlines()) <= 44 for one in found)


def test_only_documents_that_hold_no_secret_are_ever_read() -> None:
    stands = Standing.of(standing(planned("dev"), planned("dev")).before)
    assert stands.document("registry-secrets") is None
    assert stands.document("smoke-check-run") is None
    assert stands.document("dns-bundle") is not None
    assert SECRET not in json.dumps([stands.machines, stands.bundles])
