"""The dev stack end to end in the lab, with the real engine. The tests build on each other in the order of the file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.end_to_end.clone import Clone, Finished
from tests.lab.test_boot import CYCLES


def test_make_up_leaves_the_settings_file_as_it_is_committed(clone: Clone) -> None:
    assert "encryptionsalt" not in clone.settings_file.read_text()


def test_make_up_ends_well_with_a_green_smoke_table(up: Finished) -> None:
    rows = [line for line in up.text.splitlines() if re.search(r"\b(ok|FAILED)\s*$", line)]
    assert len(rows) > 20, up.text[-4000:]
    assert not [row for row in rows if row.rstrip().endswith("FAILED")]


def test_every_machine_got_what_the_table_says(clone: Clone, up: Finished) -> None:
    for machine in clone.output("machines"):
        name, address, fqdn = machine["name"], machine["address"], machine["fqdn"]
        booted = rf"{name} +\| {address} +\| /ignition/\S+ +\| ok"
        if machine["role"] == "compute":
            booted = rf"machine: hostname +\| {fqdn} +\| {fqdn} +\| ok"
        assert re.search(booted, up.text), name
    assert not re.search(r"\| FAILED\s*$", up.text, re.MULTILINE)


def test_a_preview_right_after_up_shows_no_change(clone: Clone) -> None:
    clone.pulumi("preview", "--expect-no-changes", "--diff").ok()


def test_a_refresh_finds_nothing_that_would_replace_anything(clone: Clone) -> None:
    clone.pulumi("preview", "--refresh", "--expect-no-changes", "--diff").ok()


def test_outputs_are_there_and_secrets_are_masked(clone: Clone) -> None:
    shown = json.loads(clone.stack("output", apart=True).ok().text)
    assert shown["registryPassword"] == "[secret]"
    assert shown["servicesSshKey"] == "[secret]"
    assert shown["registryUsername"] == "okd"
    assert shown["apiUrl"].startswith("https://api.")
    assert shown["caCertificate"].startswith("-----BEGIN CERTIFICATE-----")


def test_nothing_failed_on_the_services_host_and_its_root_file_system_has_grown(clone: Clone) -> None:
    failed = clone.on_services("systemctl list-units --failed --no-legend").ok().text.strip()
    assert failed == ""
    assert clone.on_services(CYCLES).text.strip().splitlines()[-1] == "0"
    assert int(clone.on_services("df --output=size --block-size=1M / | tail -1").ok().text.split()[-1]) > 5500


def test_nobody_logs_in_with_a_password_and_the_only_host_key_is_the_stacks(clone: Clone) -> None:
    assert clone.on_services("sudo passwd --status root").ok().text.split()[1] == "L"
    effective = clone.on_services("sudo sshd -T").ok().text.splitlines()
    assert "passwordauthentication no" in effective
    assert "permitrootlogin no" in effective
    assert clone.on_services("ls /etc/ssh/ssh_host_*_key").ok().text.strip() == "/etc/ssh/ssh_host_ed25519_key"


def test_a_first_delivery_makes_systemd_read_its_units_once(clone: Clone, up: Finished) -> None:
    told = [line for line in up.text.splitlines() if re.search(r"stage \d/\d units: .*daemon-reload", line)]
    names = {found[1] for line in told if (found := re.search(r"Command (\S+)-bundle", line))}
    assert names <= {"units"}, told
    assert told


def test_a_template_broken_on_purpose_fails_with_the_parsers_message_and_the_old_service_answers(clone: Clone) -> None:
    template = clone.root / "templates" / "haproxy.cfg.j2"
    good = template.read_text()
    template.write_text(good.replace("defaults\n", "defaults\n    bananas forever\n", 1))
    failed = clone.pulumi("up", "--yes", "--skip-preview")
    template.write_text(good)
    assert failed.code != 0
    assert "bananas" in failed.text
    assert "haproxy.cfg" in failed.text
    assert "unknown keyword" in failed.text
    services = clone.output("servicesAddress")
    stats = clone.on_services(f"curl -s -o /dev/null -w '%{{http_code}}' http://{services}:9000/").ok().text
    assert "200" in stats
    clone.pulumi("up", "--yes", "--skip-preview").ok()
    clone.pulumi("preview", "--expect-no-changes").ok()


def test_bad_settings_are_one_report_and_nothing_is_touched(clone: Clone) -> None:
    def by_urn() -> dict[str, Any]:
        # Whichever registers first, the stack or the engine's own provider, comes first in the state.
        return {one["urn"]: one for one in clone.state()["deployment"]["resources"]}

    def spoil(config: dict[str, Any]) -> None:
        machines = config["okd-libvirt:machines"]
        machines["compute-0"]["mac"] = "52:54:00:zz:00:01"
        machines["compute-1"]["address"] = "10.0.0.7"
        machines["Compute_2"] = {"pool": "compute", "address": "192.168.200.28"}
        for name in [name for name in machines if name.startswith("control-plane")]:
            del machines[name]

    resources = by_urn()
    before = clone.change_settings(spoil)
    failed = clone.pulumi("up", "--yes", "--skip-preview")
    clone.settings_file.write_text(before)
    assert failed.code != 0
    for part in ("compute-0.mac", "compute-1.address", "Compute_2", "control plane", "Traceback"):
        assert (part in failed.text) is (part != "Traceback"), f"{part}\n{failed.text}"
    assert by_urn() == resources


@pytest.mark.extended
def test_a_rebuilt_services_host_gets_everything_again_and_keeps_the_registrys_blobs(clone: Clone) -> None:
    digest = clone.on_services(PUSH_BLOB, stdin=clone.output("registryPassword")).ok().text.strip().splitlines()[-1]
    before = clone.resources()
    rebuilt = clone.pulumi("up", "--yes", "--skip-preview", "--replace", "**::services-root").ok()
    after = clone.resources()
    assert after["services-domain"]["id"] != before["services-domain"]["id"]
    assert after["services-registry-data"]["id"] == before["services-registry-data"]["id"]
    assert "smoke" in rebuilt.text
    for name in [name for name in before if name.endswith("-bundle")]:
        assert after[name]["inputs"]["triggers"] == [after["services-domain"]["id"]], name
    status = clone.on_services(PULL_BLOB.format(digest=digest), stdin=clone.output("registryPassword")).ok().text
    assert status.strip().splitlines()[-1] == "200"
    clone.pulumi("preview", "--expect-no-changes").ok()


REGISTRY = 'url=https://$(hostname -f):5000; read -r password; auth="user = okd:$password"; '
PUSH_BLOB = (
    REGISTRY + "echo kept across a rebuild > /tmp/blob; digest=sha256:$(sha256sum < /tmp/blob | cut -d' ' -f1); "
    'place=$(echo "$auth" | curl -sS -K - -X POST -D - -o /dev/null $url/v2/kept/blob/blobs/uploads/ | '
    "tr -d '\\r' | sed -n 's/^[Ll]ocation: //p'); "
    'echo "$auth" | curl -sS -f -K - -X PUT --data-binary @/tmp/blob -H "Content-Type: application/octet-stream" '
    '"$place&digest=$digest" && echo $digest'
)
PULL_BLOB = REGISTRY + (
    'echo "$auth" | curl -sS -K - -o /dev/null -w "%{{http_code}}\\n" $url/v2/kept/blob/blobs/{digest}'
)


def test_a_daemon_that_is_killed_comes_back_by_itself(clone: Clone) -> None:
    units = ("named", "kea-dhcp4-server", "nginx", "haproxy", "docker-registry", "chrony", "tftpd-hpa")
    killed = clone.on_services(KILL_EACH.format(units=" ".join(units))).ok().text
    assert [line for line in killed.splitlines() if line.endswith(" is back")] == [f"{unit} is back" for unit in units]


KILL_EACH = """
main() {{ systemctl show --property=MainPID --value "$1"; }}
for unit in {units}; do
    before=$(main $unit)
    sudo kill -9 $before
    for i in $(seq 600); do
        sleep 1
        now=$(main $unit)
        if [ "$now" != $before ] && [ "$now" != 0 ] && systemctl is-active --quiet $unit; then
            echo $unit is back
            break
        fi
    done
done
"""
