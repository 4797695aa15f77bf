"""A whole stack shut down and started again, nothing lost.

Owns: the order among the cluster, the services host and libvirt's domains. Does not own: how the cluster's machines are
shut down or let in again (okd-host cluster-stop, cluster-start). Standard library only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cluster import limits
from lab import services_ssh, status
from lab.commands import Commands
from lab.facts import Facts
from lab.progress import StepFailed, say
from lab.services_ssh import AGENT, ServicesHost

OFF = "shut off"
PAUSE_SECONDS = 3.0
SAID_SECONDS = 15.0
NOT_UP = "bring the stack up first: make up"


def stop(commands: Commands, facts: Facts, *, force: bool) -> int:
    """Shut the cluster down, then the services host, then what else of the stack runs; return an exit code."""
    states = _states(commands, facts)
    running = [name for name, domain in facts.domains.items() if states.get(domain, OFF) != OFF]
    if states[facts.services_domain] == "running":
        with _connected(commands, facts) as host:
            if running:
                say(f"shutting {', '.join(running)} down: compute first, then the control plane")
                code = host.shown(f"sudo {AGENT} cluster-stop", json.dumps({**facts.power, "force": force}))
                if code:
                    say("the cluster was not stopped, and the services host still runs; to force it: make stop FORCE=1")
                    return code
            _bootstrap_off(commands, facts)
            _await_off(commands, facts, list(facts.domains.values()))
            say(f"shutting {facts.services} down, the services host")
            # The connection may end before the command does.
            host.caught("sudo systemctl poweroff")
    elif running:
        raise StepFailed(
            f"{', '.join(running)} cannot be shut down in order: the services host is {states[facts.services_domain]}",
            remedy="make start, then make stop",
        )
    _await_off(commands, facts, [facts.services_domain])
    say("everything is off; `make start` starts it again")
    return 0


def start(commands: Commands, facts: Facts) -> int:
    """Start the services host, then the machines, and wait until every node is Ready; return an exit code."""
    states = _states(commands, facts)
    _start(commands, facts, [facts.services_domain], states)
    with _connected(commands, facts) as host:
        _await_answer(host)
        _start(
            commands, facts, [facts.domains[name] for name, role in facts.roles.items() if role != "bootstrap"], states
        )
        return host.shown(f"sudo {AGENT} cluster-start", json.dumps(facts.power))


def _states(commands: Commands, facts: Facts) -> dict[str, str]:
    """The state at libvirt of each of the stack's domains that exist."""
    states, silence = status.domains(commands, facts.uri)
    if silence:
        raise StepFailed(
            f"libvirt at {facts.uri} does not answer: {silence}", remedy="start it; in the lab: make hypervisor"
        )
    own = {facts.services_domain, *facts.domains.values()}
    found = {domain: state for domain, state in states.items() if domain in own}
    if facts.services_domain not in found:
        raise StepFailed(f"the stack has no services host: there is no domain {facts.services_domain}", remedy=NOT_UP)
    return found


@contextmanager
def _connected(commands: Commands, facts: Facts) -> Iterator[ServicesHost]:
    keys = services_ssh.keys(commands)
    if keys is None:
        raise StepFailed("Pulumi's state holds no key to the services host", remedy=NOT_UP)
    with services_ssh.connected(commands, facts.uplink, keys) as host:
        yield host


def _bootstrap_off(commands: Commands, facts: Facts) -> None:
    """A bootstrap machine that still runs is no node of the cluster, and has nothing to lose."""
    states = _states(commands, facts)
    for name, role in facts.roles.items():
        domain = facts.domains[name]
        if role != "bootstrap" or states.get(domain, OFF) == OFF:
            continue
        say(f"shutting {name} down at libvirt")
        _virsh(commands, facts, "shutdown", domain)
        try:
            _await_off(commands, facts, [domain])
        except StepFailed:
            _virsh(commands, facts, "destroy", domain)


def _await_off(commands: Commands, facts: Facts, domains: Sequence[str]) -> None:
    began = said = time.monotonic()
    while running := [one for one in domains if _states(commands, facts).get(one, OFF) != OFF]:
        waited = time.monotonic() - began
        if waited > limits.POWER_OFF.seconds:
            raise StepFailed(
                f"{', '.join(running)} is not off after {waited:.0f} s",
                remedy=f"see its console; to cut its power: virsh -c {facts.uri} destroy {running[0]}",
            )
        if time.monotonic() - said > SAID_SECONDS:
            said = time.monotonic()
            say(f"  … waiting for {', '.join(running)} to be off: {waited:.0f} s")
        time.sleep(PAUSE_SECONDS)


def _start(commands: Commands, facts: Facts, domains: Sequence[str], states: dict[str, str]) -> None:
    for domain in domains:
        if states.get(domain) == "paused":
            _virsh(commands, facts, "resume", domain)
        elif states.get(domain) not in (None, "running"):
            _virsh(commands, facts, "start", domain)
            say(f"started {domain}")


def _await_answer(host: ServicesHost) -> None:
    say(f"waiting for the services host to answer at {host.address}")
    began = time.monotonic()
    while (done := host.caught("true")).returncode:
        if time.monotonic() - began > limits.SERVICES_ANSWER.seconds:
            raise StepFailed(
                f"the services host does not answer at {host.address} after {limits.SERVICES_ANSWER.seconds:.0f} s",
                done.stderr.strip().splitlines()[-3:],
                "see its console; then run `make start` again",
            )
        time.sleep(PAUSE_SECONDS)


def _virsh(commands: Commands, facts: Facts, verb: str, domain: str) -> None:
    done = commands.caught(["virsh", "-c", facts.uri, verb, domain], what="libvirt")
    if done.returncode:
        raise StepFailed(
            f"virsh -c {facts.uri} {verb} {domain}", done.stderr.strip().splitlines(), "see virsh's message; then again"
        )
