"""Planning and rendering large stacks: one of 500 machines takes less than a second, and time grows with the machines.

`python -m benchmarks.planning [--rounds N]`, without root and without Pulumi. A round validates the settings of each
size, plans it and renders every file and document that would be delivered; the quickest round of a size counts. The
growth is the exponent between the two largest sizes: 1 is linear, 2 quadratic.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from ipaddress import IPv4Address
from typing import Any

from cluster import review, stack_file
from cluster.plan import Plan
from cluster.settings import Settings

SIZES = (100, 200, 400, 500, 800, 1600)
CONTROL_PLANE = 3
POOLS = ("compute", "infra", "storage")
FIRST = IPv4Address("10.0.1.0")


def settings(machines: int) -> dict[str, Any]:
    """The settings of the fourteen-machine example with as many machines as are asked for."""
    config = copy.deepcopy(stack_file.stack_config(stack_file.stack_file("hard-way")))
    config["network"] = {"cidr": "10.0.0.0/16"}
    config["services"]["address"] = "10.0.255.254"
    config["install"]["hostPrefix"] = 25
    names = ["bootstrap", *(f"control-plane-{number}" for number in range(CONTROL_PLANE))]
    names += [f"{POOLS[number % len(POOLS)]}-{number // len(POOLS)}" for number in range(machines - len(names))]
    config["machines"] = {name: {"address": str(FIRST + number)} for number, name in enumerate(names)}
    return config


def planned(config: dict[str, Any]) -> tuple[Plan, dict[str, str]]:
    """The plan of settings, and every file as text; the host agent's documents are made as well."""
    plan = Plan.of(Settings.parse(config, "large", look_at_files=False))
    files = review.files(plan)
    for document in (plan.status_document, plan.power_document, plan.smoke, plan.outputs):
        document()
    return plan, files


def seconds(config: dict[str, Any]) -> float:
    """Processor seconds of planning once: other work on the machine does not count."""
    begin = time.process_time()
    planned(config)
    return time.process_time() - begin


def main(arguments: list[str]) -> int:
    """Print a row for each size and the growth; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all sizes (default 5)")
    chosen = parser.parse_args(arguments)
    configs = {size: settings(size) for size in SIZES}
    best = dict.fromkeys(SIZES, math.inf)
    for _ in range(chosen.rounds):
        for size, config in configs.items():
            best[size] = min(best[size], seconds(config))
    for size, took in best.items():
        print(f"{size:5} machines: {took * 1e3:6.0f} ms, {took / size * 1e6:5.0f} µs a machine")
    half, whole = SIZES[-2:]
    growth = math.log(best[whole] / best[half]) / math.log(whole / half)
    print(f"500 machines: {best[500]:.2f} s (at most 1)")
    print(f"growth from {half} to {whole} machines: {growth:.2f} (1 is linear; at most 1.2)")
    return 0 if best[500] <= 1 and growth <= 1.2 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
