"""Pulumi's language host for Python: `pulumi-language-python ENGINE_ADDRESS`.

Owns: answering the engine's questions about a Python program and starting it with the right interpreter. Does not own:
the program's run itself (runner.py), generating code or packages, running plugins written in Python, debuggers.
It serves the same runtime options as the official host as far as this project needs them: `virtualenv`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import language_pb2 as messages
from pulumi.runtime.proto import language_pb2_grpc as service
from pulumi.runtime.proto import plugin_pb2

_RUNNER = Path(__file__).with_name("runner.py")
_TOLD_THE_USER = 32
_LARGEST_MESSAGE = 400 * 1024 * 1024


class NoInterpreter(Exception):
    """The program's virtual environment is missing."""


def interpreter(info: messages.ProgramInfo) -> str:
    """Return the Python of the program's `virtualenv` option, or this process's own when the option is not set."""
    name = dict(info.options).get("virtualenv")
    if not name:
        return sys.executable
    python = Path(info.root_directory) / str(name) / "bin" / "python"
    if not python.exists():
        raise NoInterpreter(
            f"the virtual environment {python.parents[1]} (runtime option `virtualenv` in Pulumi.yaml) does not exist: "
            "run `make toolchain`, or `pulumi install`"
        )
    return str(python)


def required_plugins(python: str) -> list[plugin_pb2.PackageDependency]:
    """List the provider plugins that the packages installed beside `python` ask for, by name."""
    found = {}
    # The path is not resolved: a virtual environment's interpreter is a link to another place.
    for path in Path(python).parents[1].glob("lib/python3*/site-packages/*/pulumi-plugin.json"):
        plugin: dict[str, Any] = json.loads(path.read_text())
        if plugin.get("resource"):
            name = plugin.get("name") or path.parent.name.removeprefix("pulumi_")
            version = plugin.get("version") or importlib.metadata.version(path.parent.name)
            found[name] = plugin_pb2.PackageDependency(
                name=name, kind="resource", version=f"v{version}", server=plugin.get("server", "")
            )
    return [found[name] for name in sorted(found)]


class PythonHost(service.LanguageRuntimeServicer):
    """The answers to the engine."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._programs: set[subprocess.Popen[bytes]] = set()

    @property
    def running(self) -> bool:
        """Whether a program runs."""
        return bool(self._programs)

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> messages.LanguageHandshakeResponse:
        """Take the engine's address when it is told here and not as an argument."""
        self._engine = request.engine_address or self._engine
        return messages.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Return the SDK's version, which is this host's too."""
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> messages.GetRequiredPackagesResponse:
        """Return the plugins of the program's installed packages."""
        return messages.GetRequiredPackagesResponse(packages=required_plugins(_python_or_abort(request.info, context)))

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> messages.GetRequiredPluginsResponse:
        """Return the same for engines that ask the older question."""
        plugins = [
            plugin_pb2.PluginDependency(name=p.name, kind=p.kind, version=p.version, server=p.server)
            for p in required_plugins(_python_or_abort(request.info, context))
        ]
        return messages.GetRequiredPluginsResponse(plugins=plugins)

    def Run(self, request: messages.RunRequest, context: grpc.ServicerContext) -> messages.RunResponse:
        """Run the program to its end; its output goes where this process's goes."""
        if request.attach_debugger:
            return messages.RunResponse(error="this language host attaches no debugger: use the official Pulumi")
        try:
            python = interpreter(request.info)
        except NoInterpreter as error:
            return messages.RunResponse(error=str(error))
        document = {
            "directory": request.pwd or request.info.program_directory,
            "program": os.path.join(request.info.program_directory, request.info.entry_point or "."),
            "arguments": list(request.args),
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "settings": {
                "monitor": request.monitor_address,
                "engine": self._engine,
                "project": request.project,
                "stack": request.stack,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": request.info.root_directory,
            },
        }
        program = subprocess.Popen([python, "-u", str(_RUNNER)], stdin=subprocess.PIPE)
        self._programs.add(program)
        context.add_callback(program.terminate)
        program.communicate(json.dumps(document).encode())
        self._programs.discard(program)
        if program.returncode == 0:
            return messages.RunResponse()
        if program.returncode == _TOLD_THE_USER:
            return messages.RunResponse(bail=True)
        ended = f"signal {-program.returncode}" if program.returncode < 0 else f"exit code {program.returncode}"
        return messages.RunResponse(error=f"the Python program ended with {ended}")

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Ask running programs to end."""
        for program in list(self._programs):
            program.terminate()
        return empty_pb2.Empty()

    def About(self, request: Any, context: grpc.ServicerContext) -> messages.AboutResponse:
        """Return which Python runs the programs."""
        python = _python_or_abort(request.info, context)
        version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1]
        return messages.AboutResponse(executable=python, version=version)

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> messages.RuntimeOptionsResponse:
        """Ask for no more options than the project file has."""
        return messages.RuntimeOptionsResponse()

    def GetProgramDependencies(
        self, request: messages.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> messages.GetProgramDependenciesResponse:
        """List the installed packages; `pip` tells which of them nothing else requires."""
        argv = [_python_or_abort(request.info, context), "-m", "pip", "list", "--format=json"]
        argv += [] if request.transitiveDependencies else ["--not-required"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return messages.GetProgramDependenciesResponse(
            dependencies=[
                messages.DependencyInfo(name=p["name"], version=p["version"]) for p in json.loads(done.stdout)
            ]
        )

    def InstallDependencies(
        self, request: messages.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[messages.InstallDependenciesResponse]:
        """Make the virtual environment when it is missing and install requirements.txt into it."""
        steps: list[list[str]] = []
        directory = request.info.program_directory or request.directory
        environment = dict(request.info.options).get("virtualenv")
        python = sys.executable
        if environment:
            home = Path(request.info.root_directory or directory) / str(environment)
            python = str(home / "bin" / "python")
            if not Path(python).exists():
                steps.append([sys.executable, "-m", "venv", str(home)])
        if (Path(directory) / "requirements.txt").exists():
            steps.append([python, "-m", "pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"])
        for argv in steps:
            with subprocess.Popen(argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                for line in process.stdout or ():
                    yield messages.InstallDependenciesResponse(stdout=line)
            if process.returncode != 0:
                context.abort(grpc.StatusCode.UNKNOWN, f"{' '.join(argv)} ended with exit code {process.returncode}")


def _python_or_abort(info: messages.ProgramInfo, context: grpc.ServicerContext) -> str:
    try:
        return interpreter(info)
    except NoInterpreter as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise AssertionError("abort returned") from error


def main(arguments: list[str]) -> int:
    """Serve until the engine that started this process is gone."""
    # Before anything is said: an engine may be gone as soon as it has been told the port.
    parent = os.getppid()
    engine = next((word for word in reversed(arguments) if not word.startswith("-")), "")
    options = [
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
        ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=options)
    host = PythonHost(engine)
    service.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    stopped = threading.Event()
    # The engine says goodbye with SIGINT and waits five seconds for the end. A Control-C may come while a program still
    # runs: then the engine shuts down in order, needs answers, and says goodbye later.
    signal.signal(signal.SIGINT, lambda *_: None if host.running else stopped.set())
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while os.getppid() == parent and not stopped.wait(0.5):
        pass
    server.stop(grace=None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
