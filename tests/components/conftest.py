"""A recording mock engine: every registration is kept, so that tests assert presence and absence."""

from __future__ import annotations

import asyncio
import gc
import json
import runpy
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings, stack

from cluster.plan import Plan
from cluster.preflight.facts import HostFacts, Processors
from tests.conftest import ROOT, UPSTREAM_CA, stack_config

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
DIGEST = f"sha256:{'d' * 64}"
MIRRORED = {"version": "4.19.0-okd-scos.0", "digest": DIGEST, "release": f"mirror:5000/okd/scos-release@{DIGEST}"} | {
    "verified": True,
    "signature": None,
}
INSTALLED = {"version": "4.19.0-okd-scos.0", "operators": 8, "left": [], "installedAt": "2026-01-01T00:00:00Z"}
# What the host agent prints, by the command's name.
PRINTED = {
    "mirror-release": f"stage 1/1 mirror: all\nresult: {json.dumps(MIRRORED)}\n",
    "boot-image-fetch": f"result: {json.dumps({'kernel': '1' * 64, 'initramfs': '2' * 64, 'rootfs': '3' * 64})}\n",
    "ignition-set": f"result: {json.dumps({'expiry': '2026-01-02T00:00:00Z', 'digest': 'e' * 64})}\n",
    "installation-bootstrap-departure": 'result: {"poweredOff": true}',
    "installation-complete": f"result: {json.dumps(INSTALLED)}",
    "ignition-credentials": json.dumps(
        {"kubeconfig": "CONFIDENTIAL kubeconfig", "kubeadminPassword": "CONFIDENTIAL password"}
    ),
}


@dataclass
class Registered:
    """One resource as it reached the engine; `inputs` in the engine's camelCase."""

    type: str
    name: str
    inputs: dict[str, Any]
    custom: bool


@dataclass
class Recording(mocks.Mocks):
    """What a program registered, by name; computed outputs are made up but plausible."""

    resources: list[Registered] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    stands: bool = True

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(Registered(args.typ, args.name, dict(args.inputs), bool(args.custom)))
        outputs = dict(args.inputs)
        made_up = {
            "tls:index/privateKey:PrivateKey": {
                "privateKeyPem": f"CONFIDENTIAL {args.name}",
                "privateKeyOpenssh": f"CONFIDENTIAL OPENSSH {args.name}\n",
                "publicKeyOpenssh": f"ssh-ed25519 {args.name}\n",
            },
            "tls:index/selfSignedCert:SelfSignedCert": {
                "certPem": UPSTREAM_CA.read_text(),
                "validityEndTime": "2031-01-01T00:00:00Z",
            },
            "tls:index/certRequest:CertRequest": {"certRequestPem": "CSR"},
            "tls:index/locallySignedCert:LocallySignedCert": {
                "certPem": "CERT",
                "validityEndTime": "2028-01-01T00:00:00Z",
            },
            "random:index/randomPassword:RandomPassword": {"result": "hunter2" * 9},
            "random:index/randomString:RandomString": {"result": "salt1" * 4 + "x"},
            "random:index/randomUuid:RandomUuid": {"result": "00000000-0000-4000-8000-000000000000"},
            "command:remote:Command": {"stdout": PRINTED.get(args.name, ""), "stderr": ""},
        }
        return f"{args.name}-id", outputs | made_up.get(args.typ, {})

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        if args.token == "pulumi:pulumi:readStackResourceOutputs":
            stack = {"urn:pulumi:x::y::pulumi:pulumi:Stack::z": {"type": "pulumi:pulumi:Stack", "outputs": self.before}}
            complete = {"urn:pulumi:x::y::z::installation-complete": {"type": "command", "outputs": {}}}
            return {"name": args.args["stackName"], "outputs": stack | (complete if self.stands else {})}
        raise AssertionError(f"the program calls {args.token}, which these tests do not expect")

    def named(self, name: str, kind: str = "") -> Registered:
        """The one resource called `name` whose type ends in `kind`."""
        found = [one for one in self.resources if one.name == name and one.type.endswith(kind)]
        assert len(found) == 1, f"{name}: {len(found)} resources; there are {[r.name for r in self.resources]}"
        return found[0]

    def of_type(self, kind: str) -> list[Registered]:
        """All resources whose type ends in `kind`, e.g. `Network`."""
        return [one for one in self.resources if one.type.rsplit(":", 1)[-1] == kind]


class RecordingMonitor(mocks.MockMonitor):
    """Keeps the options of each registration, which mocks alone do not show."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording)
        self.requests: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:
        self.requests[request.name] = request
        return super().RegisterResource(request)


@dataclass
class Run:
    """One run of the program: what it registered, with which options, and what it exports, resolved in `values`."""

    recording: Recording
    requests: dict[str, Any]
    outputs: dict[str, Any]
    values: dict[str, Any]


def is_secret(value: Any) -> bool:
    """Whether a value reached the engine wrapped as a Pulumi secret."""
    return isinstance(value, dict) and SECRET_SIGNATURE in value


def run_program(name: str, config: dict[str, Any], recording: Recording, *, preview: bool) -> Run:
    """Run the whole `__main__.py` for a stack against the mock engine and wait for every registration."""
    monitor = RecordingMonitor(recording)
    exported: dict[str, Any] = {}

    async def program() -> None:
        mains: list[Callable[[], Awaitable[dict[str, Any]]]] = []
        # The mock engine's own stack takes no program.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pulumi, "run", mains.append)
            runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        (main,) = mains
        exported.update(await main())

    async def resolved() -> dict[str, Any]:
        return {name: await pulumi.Output.from_input(value).future() for name, value in exported.items()}

    threshold = gc.get_threshold()
    # Closes its loop, with 20 descriptors and 6 threads: there are a hundred runs, and a process may often open 1024.
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        settings.reset_options()
        settings.set_root_resource(None)
        mocks.set_mocks(recording, project="okd-libvirt", stack=name, preview=preview, monitor=monitor)
        pulumi.runtime.set_all_config({f"okd-libvirt:{key}": json.dumps(value) for key, value in config.items()})
        try:
            loop.run_until_complete(stack.run_pulumi_func(program))
        finally:
            gc.set_threshold(*threshold)
        return Run(recording, monitor.requests, exported, loop.run_until_complete(resolved()))


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Run]]:
    """Runs the program for a shipped stack, optionally with changed settings; the hypervisor offers what it asks for."""
    from components import host_look, ignition_age, services_host

    def offered(plan: Plan) -> HostFacts:
        types = {"qemu", plan.settings.hypervisor.accelerator}
        return HostFacts(processors=Processors("x86_64", frozenset(types), virtual=True))

    def go(
        stack_name: str,
        change: Callable[[dict[str, Any]], None] = lambda config: None,
        before: dict[str, Any] | None = None,
        *,
        stands: bool = True,
        preview: bool = False,
        recording: Recording | None = None,
    ) -> Run:
        config = stack_config(stack_name)
        change(config)
        recording = recording or Recording(before=before or {}, stands=stands)
        return run_program(stack_name, config, recording, preview=preview)

    with pytest.MonkeyPatch.context() as patch:
        # The mock engine does not know the question.
        patch.setattr(pulumi, "require_pulumi_version", lambda versions: None)
        patch.setattr(host_look, "look", offered)
        patch.setattr(services_host, "image_digest", lambda location, declared: "0" * 64)
        patch.setattr(ignition_age, "_ask", lambda *words: {"generation": "first"})
        yield go
