"""`python3 -m lab.toolchain up [--only packages,venv,pulumi,plugins] [--tests]` and `status`."""

from __future__ import annotations

import argparse
import sys

from lab import ready, toolchain
from lab.progress import StepFailed, fail


def main(arguments: list[str]) -> int:
    """Run one verb; the exit code is 0 or 1."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.toolchain", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="set up what is missing")
    up.add_argument("--only", default="", metavar="STEPS", help=f"some of {','.join(toolchain.STEPS)}")
    up.add_argument("--tests", action="store_true", help="what checks and tests need as well")
    verbs.add_parser("status", help="say what is in use and what is missing")
    chosen = parser.parse_args(arguments)
    if chosen.verb == "status":
        for name, state in toolchain.status():
            print(f"{name:12} {state}")
        return 0
    only = [word for word in chosen.only.split(",") if word]
    if unknown := sorted(set(only) - set(toolchain.STEPS)):
        parser.error(f"--only: no step {', '.join(unknown)}; there are {', '.join(toolchain.STEPS)}")
    try:
        toolchain.up(only, tests=chosen.tests)
    except (StepFailed, OSError) as error:
        return fail(ready.explained(error))
    except KeyboardInterrupt:
        return ready.interrupted()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
