"""A provider that only pretends to make things, so that the real engine writes the state of a stack that stands.

Checks and diffs are the real plugin's, so that what a preview plans to replace is the real answer. Whatever would reach
a libvirt host or a services host is made up here.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2

from lab.toolchain import plugins
from lab.toolchain.versions import PLUGINS
from tests.components.conftest import PRINTED

SERVICE = "/pulumirpc.ResourceProvider/"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def _known(value: Any) -> Any:
    """A planned value without what only a libvirt host could tell."""
    if isinstance(value, dict):
        return {key: _known(inner) for key, inner in value.items() if inner != UNKNOWN}
    return [_known(inner) for inner in value if inner != UNKNOWN] if isinstance(value, list) else value


def _printed(name: str, properties: Any) -> Any:
    made = struct_pb2.Struct()
    made.CopyFrom(properties)
    made.update({"stdout": PRINTED.get(name, ""), "stderr": ""})
    return made


class _Broken(grpc.RpcError):  # type: ignore[misc]
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "it was made to fail"


class _StandIn(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, channel: grpc.Channel, broken: Sequence[str]) -> None:
        self._channel, self._broken = channel, broken
        self._own: dict[str, Callable[[bytes], Any]] = {
            "Configure": self._configure,
            "Create": self._create,
            "Update": self._update,
            "Delete": lambda request: empty_pb2.Empty(),
            "Cancel": lambda request: empty_pb2.Empty(),
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        verb = details.method.removeprefix(SERVICE)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                own = self._own.get(verb)
                return self._forward(verb, request) if own is None else own(request).SerializeToString()
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
                raise

        return grpc.unary_unary_rpc_method_handler(answer)

    def _forward(self, verb: str, request: bytes) -> bytes:
        found: bytes = self._channel.unary_unary(f"{SERVICE}{verb}")(request)
        return found

    def _configure(self, request: bytes) -> Any:
        # No libvirt host is asked: the plugin checks, plans and compares without one.
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True)

    def _create(self, request: bytes) -> Any:
        asked = provider_pb2.CreateRequest.FromString(request)
        name = asked.urn.rsplit("::", 1)[1]
        if asked.preview:
            return provider_pb2.CreateResponse.FromString(self._forward("Create", request))
        if name in self._broken:
            raise _Broken
        made = struct_pb2.Struct()
        if "command:remote" in asked.urn:
            made.CopyFrom(_printed(name, asked.properties))
        else:
            asked.preview = True
            planned = provider_pb2.CreateResponse.FromString(self._forward("Create", asked.SerializeToString()))
            made.update(_known(json_format.MessageToDict(planned.properties)))
        return provider_pb2.CreateResponse(id=str(uuid.uuid4()), properties=made)

    def _update(self, request: bytes) -> Any:
        asked = provider_pb2.UpdateRequest.FromString(request)
        if asked.preview:
            return provider_pb2.UpdateResponse.FromString(self._forward("Update", request))
        return provider_pb2.UpdateResponse(properties=_printed(asked.urn.rsplit("::", 1)[1], asked.news))


@contextmanager
def standing_in(name: str, broken: Sequence[str] = ()) -> Iterator[int]:
    """Stand in for a plugin; the port to attach the engine to. Resources named in `broken` cannot be made."""
    plugin = next(one for one in PLUGINS if one.name == name)
    binary = plugins.HOME / "plugins" / f"resource-{name}-v{plugin.version}" / plugin.binary
    with subprocess.Popen([binary, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            handler = _StandIn(channel, broken)
            server = grpc.server(ThreadPoolExecutor(max_workers=16), handlers=[handler])
            port: int = server.add_insecure_port("127.0.0.1:0")
            server.start()
            yield port
            server.stop(grace=None).wait()
        process.terminate()
