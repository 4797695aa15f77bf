"""`python -m lab.facts STACK`: what the lab must know of a stack's plan, as JSON.

Owns: asking the pure half, which needs the project's virtual environment, from the lab's modules, which have the
standard library only. Does not own: the plan.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from lab import checkout
from lab.progress import StepFailed


@dataclass(frozen=True)
class Facts:
    """`domains` and `roles` by machine's name, in the table's order; `services` is the services host's name."""

    domain: str
    uri: str
    uplink: str
    services: str
    services_domain: str
    domains: dict[str, str]
    roles: dict[str, str]
    consoles: dict[str, str]
    addresses: dict[str, str]
    status: dict[str, Any]
    power: dict[str, Any]


def of(stack: str) -> Facts:
    """The facts of a stack as its settings are now. Raises StepFailed with the report of what is wrong with them."""
    python = checkout.ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        raise StepFailed(f"{python} is missing, so the settings cannot be read", remedy="make toolchain")
    done = subprocess.run(
        [python, "-m", "lab.facts", stack], cwd=checkout.ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StepFailed(
            f"the settings of stack {stack} cannot be used",
            done.stderr.strip().splitlines()[-40:],
            f"correct Pulumi.{stack}.yaml",
        )
    return Facts(**json.loads(done.stdout))


def main(argv: list[str]) -> int:
    """Print a stack's facts; return the exit code."""
    import yaml

    from cluster.installation import console_log
    from cluster.review import planned
    from cluster.settings import SettingsError

    try:
        # Whatever stands can be looked at and stopped.
        plan = planned(argv[0], stands=True)
    except (OSError, SettingsError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 1
    services = plan.settings.services.name
    names = [machine.name for machine in plan.machines]
    facts = Facts(
        domain=plan.cluster_domain,
        uri=plan.settings.hypervisor.uri,
        uplink=str(plan.settings.uplink.address),
        services=services,
        services_domain=plan.names.domain(services),
        domains={name: plan.names.domain(name) for name in names},
        roles={machine.name: machine.role for machine in plan.machines},
        consoles={name: console_log(plan, name) for name in [*names, services]},
        addresses={machine.name: str(machine.address) for machine in plan.machines},
        status=plan.status_document(),
        power=plan.power_document(),
    )
    json.dump(vars(facts), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
