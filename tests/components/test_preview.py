"""What a preview says, held against what the real engine plans with the real plugins.

A stack is brought up with stand-ins for the libvirt host and the services host: state, checks and diffs are the
engine's and the plugins' own. Each preview's words are then compared with the steps that the engine plans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import changes
from cluster.before import Before
from cluster.changes import files
from cluster.changes.standing import Standing
from cluster.plan import Plan
from cluster.settings import Settings
from components.image import image_digest
from tests.components.stand_in import standing_in
from tests.conftest import ROOT, stack_config
from tests.toolchain.conftest import PULUMI, Engine

pytestmark = pytest.mark.toolchain

Change = Callable[[dict[str, Any]], None]
SOURCES = ("__main__.py", "cluster", "components", "scripts", "templates")
# Neither a libvirt host nor a services host is asked: the one has nothing to tell of each question, the other is not there.
STUBS = {"virsh": "printf '%s\\n' \"$3\" | tr ';' '\\n' | sed -n 's/^ *echo //p'", "ssh": "exit 255"}
GONE = ("replace", "delete")
# The resources that are secrets themselves; other secrets are made of these.
KEYS = ("tls:", "random:", "pulumi:pulumi:Stack")


@dataclass(frozen=True)
class Preview:
    """What the engine plans, names by step, and what the program says."""

    steps: dict[str, set[str]]
    libvirt: set[str]
    said: list[str]
    text: str


class Stack:
    """The program as the stack `dev`, in a project, a home and a state of its own."""

    def __init__(self, directory: Path, plugins: Mapping[str, int]) -> None:
        assert PULUMI.exists(), f"{PULUMI} is missing: run `make toolchain`"
        self.engine = Engine(directory)
        self.images: dict[str, Path] = {}
        project, stubs = self.engine.project, directory / "stubs"
        text = (ROOT / "Pulumi.yaml").read_text().replace("virtualenv: .venv", f"virtualenv: {ROOT / '.venv'}")
        (project / "Pulumi.yaml").write_text(text)
        for name in SOURCES:
            (project / name).symlink_to(ROOT / name)
        self.engine.run("stack", "init", "dev")
        self._file = project / "Pulumi.dev.yaml"
        self._salt = yaml.safe_load(self._file.read_text())["encryptionsalt"]
        stubs.mkdir()
        for name, script in STUBS.items():
            (stubs / name).write_text(f"#!/bin/sh\n{script}\n")
            (stubs / name).chmod(0o755)
        self.engine.environment["PATH"] = f"{stubs}:{self.engine.environment['PATH']}"
        self.engine.environment["PULUMI_DEBUG_PROVIDERS"] = ",".join(f"{name}:{port}" for name, port in plugins.items())
        for name in ("one", "two"):
            self.images[name] = directory / f"{name}.qcow2"
            self.images[name].write_bytes(b"QFI\xfb" + name.encode())

    @property
    def config(self) -> dict[str, Any]:
        """The settings that it is brought up with."""
        config = stack_config("dev")
        config["hypervisor"] = {"accelerator": "qemu"}
        config["checks"] = dict.fromkeys(("minimumSizes", "hostMemory", "hostDisk"), "ignore")
        config["services"]["image"] = {"location": str(self.images["one"])}
        return config

    def up(self, *, fails: bool = False) -> None:
        """Bring it up; what is broken then stays undone."""
        self._set(self.config)
        self.engine.up(fails=fails)

    def preview(self, change: Change = lambda config: None) -> Preview:
        """Preview a change of the settings."""
        config = self.config
        change(config)
        self._set(config)
        text = self.engine.run("preview", "--json")
        found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
        steps: dict[str, set[str]] = {}
        libvirt = set()
        for step in found["steps"]:
            name = step["urn"].rpartition("::")[2]
            steps.setdefault(step["op"], set()).add(name)
            if step["op"] in GONE and "libvirt:index/" in step["urn"]:
                libvirt.add(name)
        said = [one["message"].strip() for one in found.get("diagnostics", []) if one["severity"] == "info"]
        return Preview(steps, libvirt, said, text)

    def plan(self, change: Change) -> Plan:
        """The plan of a change, as the program makes it."""
        config = self.config
        change(config)
        resources = self._resources
        outputs = next(one.get("outputs", {}) for one in resources if one["type"] == "pulumi:pulumi:Stack")
        return Plan.of(
            Settings.parse(config, "dev"), Before.of(outputs if "installation" in outputs else {}, resources)
        )

    @cached_property
    def _resources(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.engine.run("stack", "export"))["deployment"]["resources"]
        return found

    def secrets(self) -> set[str]:
        """Every line of its keys and passwords, as its state holds them."""
        text = self.engine.run("stack", "export", "--show-secrets")
        made = [one for one in json.loads(text)["deployment"]["resources"] if one["type"].startswith(KEYS)]
        return {line for line in _secrets(made) if len(line) > 12}

    def _set(self, config: dict[str, Any]) -> None:
        settings = {f"okd-libvirt:{key}": value for key, value in config.items()}
        self._file.write_text(yaml.safe_dump({"config": settings, "encryptionsalt": self._salt}))


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "plaintext" in value:
            yield from str(json.loads(value["plaintext"])).splitlines()
        else:
            for inner in value.values():
                yield from _secrets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner)


Maker = Callable[[tuple[str, ...]], Stack]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    """Makes stacks on plugins of their own; what is named cannot be made by them."""
    with ExitStack() as plugins:

        def make(broken: tuple[str, ...]) -> Stack:
            ports = {name: plugins.enter_context(standing_in(name, broken)) for name in ("libvirt", "command")}
            return Stack(tmp_path_factory.mktemp("stack"), ports)

        yield make


@pytest.fixture(scope="module")
def installed(stacks: Maker) -> Stack:
    """A stack that was installed, its bootstrap machine gone."""
    stack = stacks(())
    stack.up()
    stack.up()
    return stack


@pytest.fixture(scope="module")
def interrupted(stacks: Maker) -> Stack:
    """A stack whose first update failed when every machine had been made."""
    stack = stacks(("installation-complete",))
    stack.up(fails=True)
    return stack


def machine(name: str, **keys: Any) -> Change:
    return lambda config: config["machines"][name].update(keys)


def section(where: str, **keys: Any) -> Change:
    return lambda config: config.setdefault(where, {}).update(keys)


def together(*all_changes: Change) -> Change:
    def change(config: dict[str, Any]) -> None:
        for one in all_changes:
            one(config)

    return change


def assert_words_are_the_engines_plan(stack: Stack, change: Change) -> Preview:
    """The words claim exactly the libvirt objects that are replaced or removed, and exactly the services delivered."""
    preview, plan = stack.preview(change), stack.plan(change)
    effects = changes.effects(
        plan,
        image=lambda: image_digest(plan.settings.services.image.location, None),
        domain_type=plan.settings.hypervisor.accelerator,
    )
    assert set().union(*(one.replaces for one in effects)) == preview.libvirt
    for one in effects:
        assert one.words in preview.said
    delivered = {name.removesuffix("-bundle") for name in preview.steps.get("update", ()) if name.endswith("-bundle")}
    if "services-domain" not in preview.libvirt:
        assert set(files.changed(Standing.of(plan.before), plan)) == delivered
    return preview


def test_a_new_stack_is_previewed_on_one_screen_and_nothing_is_written(stacks: Maker) -> None:
    stack = stacks(())
    before = _files(stack)
    preview = stack.preview()
    assert preview.steps.keys() == {"create"}
    (overview,) = preview.said
    for machine_name in stack.config["machines"]:
        assert machine_name in overview
    assert "back ends" in overview
    assert _files(stack) == before


def _files(stack: Stack) -> dict[str, bytes]:
    paths = (path for place in ("project", "state") for path in (stack.engine.directory / place).rglob("*"))
    settings = "Pulumi.dev.yaml"
    return {str(path): path.read_bytes() for path in paths if path.is_file() and path.name != settings}


def test_a_stack_that_stands_is_previewed_without_a_word(installed: Stack) -> None:
    preview = installed.preview()
    assert preview.steps.keys() == {"same"}
    assert preview.said == []


def test_a_mac_change_rebuilds_one_machine_and_nothing_else(installed: Stack) -> None:
    preview = assert_words_are_the_engines_plan(installed, machine("compute-1", mac="52:54:00:00:00:01"))
    assert preview.libvirt == {"compute-1-domain"}
    assert "a MAC change rebuilds compute-1 and nothing else; its disks stay" in preview.said
    assert any(
        '-            "hw-address"' in one and "+++ /etc/kea/kea-dhcp4.conf (planned)" in one for one in preview.said
    )


def test_new_sizes_rebuild_what_is_said(installed: Stack) -> None:
    change = together(
        machine("control-plane-0", memoryMiB=640),
        machine("compute-0", diskGiB=3),
        machine("compute-1", extraDisksGiB=[1]),
    )
    preview = assert_words_are_the_engines_plan(installed, change)
    assert preview.libvirt == {"control-plane-0-domain", "compute-0-root", "compute-0-domain", "compute-1-domain"}


def test_machines_that_come_and_go_touch_no_other(installed: Stack) -> None:
    def change(config: dict[str, Any]) -> None:
        del config["machines"]["compute-1"]
        config["machines"]["compute-2"] = {"address": "192.168.200.22"}

    preview = assert_words_are_the_engines_plan(installed, change)
    assert preview.libvirt == {"compute-1-root", "compute-1-domain"}
    assert {"compute-2-root", "compute-2-domain", "compute-2-join"} <= preview.steps["create"]


def test_exposed_ports_and_time_servers_rebuild_nothing(installed: Stack) -> None:
    preview = assert_words_are_the_engines_plan(
        installed, section("uplink", expose=[6443, 443], timeServers=["10.0.0.1"])
    )
    assert preview.libvirt == set()
    assert {"firewall-bundle", "time-bundle", "load-balancer-bundle"} <= preview.steps["update"]


def test_another_image_rebuilds_the_services_host_and_keeps_the_registrys_volume(installed: Stack) -> None:
    preview = assert_words_are_the_engines_plan(
        installed, section("services", image={"location": str(installed.images["two"])})
    )
    assert preview.libvirt == {"services-base", "services-root", "services-domain"}


def test_another_uplink_and_what_only_an_installer_reads(installed: Stack) -> None:
    change = together(section("uplink", cidr="192.168.126.0/24"), section("install", clusterNetwork="10.64.0.0/14"))
    preview = assert_words_are_the_engines_plan(installed, change)
    assert preview.libvirt == {"network-uplink", "services-seed", "services-root", "services-domain"}
    assert any("--- /var/lib/okd-registry/okd-libvirt/install-config.yaml (now)" in one for one in preview.said)


def test_another_mtu_rebuilds_every_domain_and_no_disk_of_a_machine(interrupted: Stack) -> None:
    preview = assert_words_are_the_engines_plan(interrupted, section("network", mtu=1400))
    assert {f"{name}-domain" for name in interrupted.config["machines"]} <= preview.libvirt
    assert not any(name.endswith("-root") for name in preview.libvirt - {"services-root"})


def test_addresses_roles_and_the_registrys_size_before_the_installation(interrupted: Stack) -> None:
    change = together(
        machine("bootstrap", address="192.168.200.11"),
        machine("compute-0", address="192.168.200.99"),
        machine("compute-1", pool="control-plane"),
        machine("control-plane-2", pool="compute"),
        section("services", registryGiB=8),
    )
    preview = assert_words_are_the_engines_plan(interrupted, change)
    assert preview.libvirt == {"services-registry-data", "services-domain"}


def test_a_moved_pool_takes_everything_with_it(interrupted: Stack) -> None:
    preview = assert_words_are_the_engines_plan(interrupted, section("hypervisor", poolPath="/srv/elsewhere"))
    assert {"hypervisor-pool", "services-registry-data", "compute-0-root", "compute-0-domain"} <= preview.libvirt


def test_no_secret_of_the_state_is_ever_shown(installed: Stack) -> None:
    def everything(config: dict[str, Any]) -> None:
        config["network"]["router"] = "192.168.200.1"
        config["bootImage"]["kernelArguments"] = ["console=ttyS1"]
        config["install"] = {"adminUser": {"name": "joe"}, "chrony": False}
        config["services"]["memoryMiB"] = 3000

    secrets = installed.secrets()
    assert len(secrets) > 50, "private keys and passwords are in the state"
    preview = installed.preview(everything)
    assert any("+++ /etc/kea/kea-dhcp4.conf (planned)" in one for one in preview.said)
    assert not [secret for secret in secrets if secret in preview.text]


def before_members_and_providers(text: str) -> dict[str, Any]:
    """An exported state as the program before left it: the engine's own providers, memberships as components."""
    for package, version in (("tls", "5_6_2"), ("random", "4_21_4"), ("command", "1_2_1")):
        urn = f"okd:index:Providers$pulumi:providers:{package}::providers-{package}"
        assert urn in text
        text = text.replace(urn, f"pulumi:providers:{package}::default_{version}")
    text, joins = re.subn(r"Machine\$(command:remote:Command::[\w-]+-join)", r"Member$\1", text)
    assert joins
    state: dict[str, Any] = json.loads(text)
    found: list[dict[str, Any]] = []
    for one in state["deployment"]["resources"]:
        if one["type"].startswith("pulumi:providers:") and "::default_" in one["urn"]:
            del one["parent"]
        if one["urn"].endswith("-join"):
            component = re.sub(r"\$command:remote:Command::(.*)-join", r"::\1-member", one["urn"])
            above = component.rpartition("$")[0] + "::installation"
            found.append({"urn": component, "custom": False, "type": "okd:index:Member", "parent": above})
            one["parent"] = component
        if one["type"] != "okd:index:Providers":
            found.append(one)
    state["deployment"]["resources"] = found
    return state


def test_a_stack_of_the_program_before_keeps_its_keys_and_its_machines(
    installed: Stack, stacks: Maker, tmp_path: Path
) -> None:
    exported = tmp_path / "state.json"
    exported.write_text(
        json.dumps(before_members_and_providers(installed.engine.run("stack", "export", "--show-secrets")))
    )
    stack = stacks(())
    stack.images = installed.images
    stack.engine.run("stack", "import", "--file", str(exported))
    steps = stack.preview().steps
    members = {f"{name}-member" for name in stack_config("dev")["machines"] if name != "bootstrap"}
    assert {op: names for op, names in steps.items() if op != "same"} == {"create": {"providers"}, "delete": members}


def made_before(text: str) -> dict[str, Any]:
    """An exported state whose domains were defined by an older program, on the provider's own machine type."""
    state: dict[str, Any] = json.loads(text)
    for one in state["deployment"]["resources"]:
        if one["type"].endswith("/domain:Domain"):
            for values in (one["inputs"], one["outputs"]):
                assert "file=" in values["xml"]["xslt"]
                values["xml"]["xslt"] = "<an-older-stylesheet/>"
            assert "machine" not in one["inputs"]
            one["outputs"]["machine"] = "pc"
    return state


def test_a_newer_form_of_definitions_replaces_no_domain_that_stands(
    installed: Stack, stacks: Maker, tmp_path: Path
) -> None:
    exported = tmp_path / "state.json"
    exported.write_text(json.dumps(made_before(installed.engine.run("stack", "export", "--show-secrets"))))
    stack = stacks(())
    stack.images = installed.images
    stack.engine.run("stack", "import", "--file", str(exported))
    assert stack.preview().steps.keys() == {"same"}
    preview = assert_words_are_the_engines_plan(stack, machine("compute-1", memoryMiB=640))
    assert preview.libvirt == {"compute-1-domain"}
