"""Runs one Pulumi program in the process that the language host starts for it.

Owns: connecting the SDK to the engine and turning an exception into one error message. Does not own: finding the
interpreter or answering the engine (host.py). What to run arrives as JSON on stdin, because configuration may hold
secrets, which arguments and environment would show to other processes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

TOLD_THE_USER = 32


def main() -> int:
    """Run the program described on stdin; the exit code is 0, or TOLD_THE_USER when the engine has the message."""
    request: dict[str, Any] = json.load(sys.stdin)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        import pulumi
        import pulumi.runtime
    except ImportError:
        print(f"{sys.executable} has no Pulumi SDK: run `make toolchain`, or `pip install pulumi`", file=sys.stderr)
        return 1

    pulumi.runtime.set_all_config(request["config"], request["secret_keys"])
    pulumi.runtime.configure(pulumi.runtime.Settings(**request["settings"]))
    os.chdir(request["directory"])
    sys.path[0] = request["directory"]
    sys.argv = [request["program"], *request["arguments"]]

    # A failed program leaves futures that nobody awaits; their complaints would bury the real error.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with ThreadPoolExecutor(max_workers=max(request["settings"]["parallel"] or 1, 1) * 4) as executor:
        loop.set_default_executor(executor)
        try:
            loop.run_until_complete(pulumi.runtime.run_in_stack(_program(request["program"])))
        except pulumi.RunError as error:
            pulumi.log.error(str(error))
            return TOLD_THE_USER
        except Exception as error:
            pulumi.log.error(_explain(error, request["program"]))
            return TOLD_THE_USER
    return 0


def _program(path: str) -> Callable[[], None]:
    def program() -> None:
        runpy.run_path(path, run_name="__main__")

    return program


def _explain(error: BaseException, program: str) -> str:
    """Describe an exception by the frames from the program's own first frame on."""
    inside = os.path.abspath(program)
    frames = traceback.extract_tb(error.__traceback__)
    paths = [os.path.abspath(frame.filename) for frame in frames]
    first = next((n for n, path in enumerate(paths) if path == inside or path.startswith(inside + os.sep)), 0)
    lines = traceback.format_list(frames[first:]) + traceback.format_exception_only(error)
    return "Program failed with an unhandled exception:\n" + "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
