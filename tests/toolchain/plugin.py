"""A provider plugin talked to directly, with a stand-in for the engine that keeps what is logged."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from lab.toolchain import plugins
from lab.toolchain.versions import PLUGINS

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SPECIAL = "4dabf18193072939515e22adb298388d"  # the key that marks a secret or an asset on the wire


class _Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.lines.append(request.message)
        return empty_pb2.Empty()


class Plugin:
    """One running plugin."""

    def __init__(self, stub: Any, engine: _Engine, name: str) -> None:
        self._stub = stub
        self._engine = engine
        self._name = name

    @classmethod
    @contextmanager
    def started(cls, name: str) -> Iterator[Plugin]:
        """Run the installed plugin and stop it in the end."""
        plugin = next(plugin for plugin in PLUGINS if plugin.name == name)
        binary = plugins.HOME / "plugins" / f"resource-{name}-v{plugin.version}" / plugin.binary
        engine = _Engine()
        server = grpc.server(ThreadPoolExecutor(max_workers=4))
        engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with subprocess.Popen([binary, f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True))
                yield cls(stub, engine, name)
            process.terminate()
        server.stop(grace=None)

    @property
    def logged(self) -> list[str]:
        """The lines in the order in which they came."""
        return self._engine.lines

    def check(self, token: str, inputs: dict[str, Any]) -> list[str]:
        """The reasons why the inputs are refused."""
        request = provider_pb2.CheckRequest(urn=self._urn(token), news=_struct(inputs))
        return [f"{failure.property}: {failure.reason}" for failure in self._stub.Check(request).failures]

    def create(self, token: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Create a resource; its id and its state."""
        checked = self._stub.Check(provider_pb2.CheckRequest(urn=self._urn(token), news=_struct(inputs)))
        assert not checked.failures, checked.failures
        made = self._stub.Create(provider_pb2.CreateRequest(urn=self._urn(token), properties=checked.inputs))
        return made.id, _plain(made.properties)

    def create_fails(self, token: str, inputs: dict[str, Any]) -> str:
        """Try to create a resource; the error."""
        with pytest.raises(grpc.RpcError) as caught:
            self.create(token, inputs)
        return str(caught.value.details())

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a function; its result."""
        answer = self._stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=_struct(arguments)))
        assert not answer.failures, answer.failures
        return _plain(getattr(answer, "return"))

    def invoke_fails(self, token: str, arguments: dict[str, Any]) -> str:
        """Call a function; the error."""
        with pytest.raises(grpc.RpcError) as caught:
            self.invoke(token, arguments)
        return str(caught.value.details())

    def _urn(self, token: str) -> str:
        return f"urn:pulumi:test::sample::{token}::name"


def _struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def _plain(properties: struct_pb2.Struct) -> dict[str, Any]:
    """The properties with secrets unwrapped."""

    def unwrap(value: Any) -> Any:
        if isinstance(value, dict) and _SPECIAL in value and "value" in value:
            return unwrap(value["value"])
        if isinstance(value, dict):
            return {name: unwrap(inner) for name, inner in value.items()}
        return value

    plain: dict[str, Any] = unwrap(json_format.MessageToDict(properties))
    return plain
