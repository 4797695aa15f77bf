"""The whole program under mocks, for every stack file of the repository."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from tests.components.conftest import DIGEST, Recording, Run, is_secret
from tests.conftest import STACK_FILES

Runner = Callable[..., Run]
SERVICES = ["units", "firewall", "time", "dns", "dhcp", "boot", "http", "trust", "registry", "load-balancer"]


@pytest.fixture(scope="module", params=sorted(STACK_FILES))
def built(request: pytest.FixtureRequest, run: Runner) -> Run:
    return run(request.param)


def bundle_text(run: Run, service: str) -> str:
    header, _, document = str(run.recording.named(f"{service}-bundle", "Command").inputs["stdin"]).partition("\n")
    assert header.startswith("@"), "a preview would compare the document by position, not line by line"
    return document


def test_every_service_is_one_bundle(built: Run) -> None:
    bundles = [one.name.removesuffix("-bundle") for one in built.recording.of_type("Command") if "bundle" in one.name]
    assert sorted(bundles) == sorted(SERVICES)


def test_the_cluster_network_is_isolated_and_libvirt_serves_nothing_on_it(built: Run) -> None:
    cluster = built.recording.named("network-cluster", "Network").inputs
    assert cluster["mode"] == "none"
    assert "addresses" not in cluster
    for network in built.recording.of_type("Network"):
        assert network.inputs["dhcp"] == {"enabled": False}
        assert network.inputs["dns"] == {"enabled": False}


def test_every_libvirt_object_has_an_explicit_name_that_carries_the_stack(built: Run) -> None:
    stack = pulumi.get_stack()
    for kind in ("Network", "Pool", "Volume", "Domain", "CloudInitDisk"):
        for one in built.recording.of_type(kind):
            if one.custom:
                assert str(one.inputs["name"]).startswith(f"okd-{stack}"), one.name


def test_every_connection_pins_the_host_key_and_never_shows_the_login_key(built: Run) -> None:
    commands = built.recording.of_type("Command")
    assert commands
    for command in commands:
        connection = command.inputs["connection"]
        assert is_secret(connection), command.name
        assert connection["value"]["hostKey"] == "ssh-ed25519 ssh-host-key"


def test_a_rebuilt_services_host_gets_everything_again_and_nothing_else_triggers(built: Run) -> None:
    made_with = ("ignition-credentials", "installation-compute-config")
    for command in built.recording.of_type("Command"):
        watched = "services-domain-id"
        if command.name.startswith("installation-bootstrap-"):
            watched = "bootstrap-domain-id"
        elif command.name.endswith("-join"):
            watched = f"{command.name.removesuffix('-join')}-domain-id"
        digest = ["e" * 64] if command.name in made_with else []
        assert command.inputs["triggers"] == [watched, *digest], command.name


def test_no_previous_output_travels_in_the_environment(built: Run) -> None:
    for command in built.recording.of_type("Command"):
        assert command.inputs["addPreviousOutputInEnv"] is False, command.name


def test_private_keys_and_passwords_reach_the_engine_only_as_secrets(built: Run) -> None:
    known = ("CONFIDENTIAL", "hunter2", "$2y$05$")
    for one in built.recording.resources:
        for key, value in one.inputs.items():
            if one.type.startswith("tls:"):
                continue  # the tls provider's own key inputs come from its own secret outputs, which mocks do not mark
            _assert_wrapped(value, known, f"{one.name}.{key}")


def _assert_wrapped(value: Any, known: tuple[str, ...], where: str) -> None:
    if is_secret(value):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            _assert_wrapped(inner, known, f"{where}.{key}")
    elif isinstance(value, list):
        for inner in value:
            _assert_wrapped(inner, known, where)
    else:
        assert not any(word in str(value) for word in known), f"{where} is in the clear"


def test_the_registry_bundle_is_readable_and_carries_only_hashes_of_its_secrets(built: Run) -> None:
    text = bundle_text(built, "registry")
    document = json.loads(text)
    secret = [file for file in document["files"] if "secret" in file]
    assert {file["secret"] for file in secret} == {"registry-key", "registry-htpasswd"}
    assert all(len(file["sha256"]) == 64 and file["mode"] in {"0600", "0640", "0400", "0440"} for file in secret)
    assert is_secret(built.recording.named("registry-secrets", "Command").inputs["stdin"])


def test_a_configuration_line_stands_on_a_line_of_its_own_for_the_previews_diff(built: Run) -> None:
    haproxy = bundle_text(built, "load-balancer")
    assert any(line.strip().strip('",').strip().startswith("server ") for line in haproxy.splitlines())


def test_the_certificate_authority_signs_and_does_not_serve(built: Run) -> None:
    ca = built.recording.named("pki-ca").inputs
    registry = built.recording.named("pki-registry").inputs
    request = built.recording.named("pki-registry-request").inputs
    assert ca["isCaCertificate"] is True
    assert set(ca["allowedUses"]) == {"cert_signing", "crl_signing"}
    assert ca["validityPeriodHours"] == 1825 * 24
    assert registry["validityPeriodHours"] == 730 * 24
    assert "server_auth" in registry["allowedUses"]
    assert registry.get("isCaCertificate") in (None, False)
    name = request["dnsNames"][0]
    assert request["dnsNames"] == [name, f"www.{name}"]
    assert len(request["ipAddresses"]) == 1
    for key in ("pki-ca-key", "pki-registry-key"):
        assert built.recording.named(key).inputs == {"algorithm": "RSA", "rsaBits": 4096}


def test_the_registry_password_has_at_least_64_characters(built: Run) -> None:
    assert built.recording.named("registry-access-password").inputs["length"] >= 64


def test_domains_are_replaced_when_the_provider_would_ignore_the_change(built: Run) -> None:
    for domain in built.recording.of_type("Domain"):
        request = built.requests[domain.name]
        assert {"disks", "networkInterfaces", "bootDevices", "cpu"} <= set(request.replaceOnChanges)
        assert request.deleteBeforeReplace
        assert request.replace_with, f"{domain.name} must be rebuilt with its disks"


def test_every_disk_is_a_file_in_the_pool_and_the_base_image_the_volume_that_is_made(built: Run) -> None:
    path = built.recording.named("hypervisor-pool", "Pool").inputs["target"]["path"]
    base = built.recording.named("services-base", "Volume").inputs
    for domain in built.recording.of_type("Domain"):
        xslt = domain.inputs["xml"]["xslt"]
        assert f"concat('{path}/', @volume)" in xslt
        assert (f'<source file="{path}/{base["name"]}"/>' in xslt) == (domain.name == "services-domain")
        assert ('bus="scsi"' in xslt) == ("cloudinit" in domain.inputs)


def test_a_raw_image_is_declared_as_one_and_its_root_disk_says_so(run: Callable[..., Run]) -> None:
    def raw(config: dict[str, Any]) -> None:
        config["services"]["image"] = {"location": "https://files.example.com/debian-12-genericcloud-amd64.raw"}

    recording = run("prod", raw).recording
    assert recording.named("services-base", "Volume").inputs["format"] == "raw"
    assert recording.named("services-root", "Volume").inputs["format"] == "qcow2"
    assert '<format type="raw"/>' in recording.named("services-domain").inputs["xml"]["xslt"]


def test_children_hang_under_their_component(built: Run) -> None:
    for name, parent in {
        "network-cluster": "okd:index:Networks",
        "services-domain": "okd:index:ServicesHost",
        "dns-bundle": "okd:index:HostService",
        "bootstrap-domain": "okd:index:Machine",
    }.items():
        assert parent in built.requests[name].parent


def test_only_declared_outputs_are_exported_and_secrets_stay_secret(built: Run) -> None:
    assert set(built.outputs) == {
        "apiUrl",
        "consoleUrl",
        "kubeadminUsername",
        "kubeadminPassword",
        "kubeconfig",
        "adminUsername",
        "adminPassword",
        "release",
        "ignitionExpiry",
        "registryUrl",
        "registryUsername",
        "registryPassword",
        "caCertificate",
        "servicesAddress",
        "servicesUplinkAddress",
        "servicesHostKey",
        "servicesSshKey",
        "machines",
        "certificateExpiry",
        "clusterNetwork",
        "bootstrap",
        "installation",
    }


def test_the_clusters_credentials_are_shown_nowhere(built: Run) -> None:
    command = built.recording.named("ignition-credentials", "Command")
    assert command.inputs["logging"] == "none"
    assert {"stdout", "stderr"} <= set(built.requests["ignition-credentials"].additionalSecretOutputs)
    for name in ("kubeconfig", "kubeadminPassword", "adminPassword", "registryPassword", "servicesSshKey"):
        assert asyncio.new_event_loop().run_until_complete(built.outputs[name].is_secret()), name


def test_the_mirror_is_told_hashes_of_its_secrets_only(built: Run) -> None:
    document = json.loads(built.recording.named("mirror-release", "Command").inputs["stdin"].partition("\n")[2])
    assert set(document["pullSecret"]) == {"secret", "sha256"}
    assert is_secret(built.recording.named("mirror-secrets", "Command").inputs["stdin"])
    assert is_secret(built.recording.named("ignition-secrets", "Command").inputs["stdin"])


def test_tools_boot_image_and_ignition_configs_follow_the_mirrored_digest(built: Run) -> None:
    for name in ("mirror-tools", "boot-image-fetch", "ignition-set"):
        assert DIGEST in built.recording.named(name, "Command").inputs["stdin"], name


def test_another_generation_of_ignition_configs_is_another_document(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components import ignition_age

    def text(built: Run) -> str:
        return str(built.recording.named("ignition-set", "Command").inputs["stdin"])

    first = text(run("dev"))
    monkeypatch.setattr(ignition_age, "_ask", lambda *words: {"generation": "after-2026-01-02T00:00:00Z"})
    assert '"generation": "after-2026-01-02T00:00:00Z"' in text(run("dev"))
    monkeypatch.setattr(ignition_age, "_ask", lambda *words: None)
    assert text(run("dev")) == first, "a host that does not answer must not look like a change"


@pytest.mark.parametrize("protect", [True, False])
def test_the_registrys_data_is_protected_as_the_setting_says(run: Runner, protect: bool) -> None:
    def change(config: dict[str, Any]) -> None:
        config["services"]["protectRegistry"] = protect

    built = run("dev", change)
    assert built.requests["services-registry-data"].protect is protect
    assert not built.requests["services-root"].protect


def test_a_new_machine_changes_only_the_services_that_name_machines(run: Runner) -> None:
    def grow(config: dict[str, Any]) -> None:
        config["machines"]["compute-9"] = {"pool": "compute", "address": "192.168.200.99"}

    before, after = run("dev"), run("dev", grow)
    changed = {service for service in SERVICES if bundle_text(before, service) != bundle_text(after, service)}
    assert changed == {"dns", "dhcp", "boot", "load-balancer"}
    assert before.recording.named("services-domain").inputs == after.recording.named("services-domain").inputs


def test_the_uplink_can_be_a_bridge_that_the_host_has(run: Runner) -> None:
    built = run("prod")
    config_bridge = built.recording.named("services-domain").inputs["networkInterfaces"][1]
    assert config_bridge["bridge"]
    assert "networkId" not in config_bridge
    assert [one.name for one in built.recording.of_type("Network")] == ["network-cluster"]


@pytest.mark.parametrize(("preview", "declared"), [(False, set()), (True, {"tls", "random", "command"})])
def test_bad_settings_register_nothing_but_a_previews_providers(run: Runner, preview: bool, declared: set[str]) -> None:
    def break_it(config: dict[str, Any]) -> None:
        config["network"]["cidr"] = "192.168.200.0/30"
        config["machines"]["compute-0"]["mac"] = "zz"

    recording = Recording()
    with pytest.raises(pulumi.RunError) as error:
        run("dev", break_it, preview=preview, recording=recording)
    assert "network.cidr" in str(error.value)
    assert "machines.compute-0.mac" in str(error.value)
    assert {one.type.removeprefix("pulumi:providers:") for one in recording.resources} - {
        "okd:index:Providers"
    } == declared


def test_whatever_a_provider_makes_is_given_it_explicitly(built: Run) -> None:
    for one in built.recording.resources:
        if (":index" in one.type and not one.type.startswith("okd:")) or one.type.startswith("command:"):
            package = one.type.partition(":")[0]
            assert f"pulumi:providers:{package}::" in built.requests[one.name].provider, one.name


def test_no_paths_of_whoever_runs_the_program_reach_the_state(built: Run) -> None:
    assert built.requests
    for name, request in built.requests.items():
        assert not request.stackTrace.frames, name
        assert not request.sourcePosition.uri, name
