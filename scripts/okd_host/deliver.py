"""deliver: the files of one service, from the document to a healthy daemon, or back to what was.

Document: {"service", "packages": [...], "files": [{"path", "owner", "group", "mode": "0640", and one of
"lines": [...] | "secret": NAME with "sha256" | "copyOf": PATH}], "owns": [directories in which no other file stays;
directories below them are left alone], "checks": [{"name", "argv"}], "units": [...], "reload": [argv],
"restart_on": [path globs], "health": [{"name", "argv" | "tcp": "address:port"}]}; optional: a file's "selinux" type,
and "selinux": {"booleans": [...], "ports": [{"port", "protocol", "type"}]}, both without effect where SELinux is off;
"starts": false for units that others start: those that run are restarted when their own unit file changed.

Stages: stage (what differs), check (the daemons' parsers over the staged files at their final paths), swap, units
(daemon-reload, enable), reload (or restart, start, nothing), health. A failure after the swap puts the old files back
in service and brings the daemon up with them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from okd_host import bundle as bundles
from okd_host import files, health, packages, report, selinux, staging, swap, units

STAGES = ("stage", "check", "swap", "units", "reload", "health")
REMEDY = "correct the settings or the template that the message is about, then run the update again"


def take_back(journal: dict[str, Any], stages: report.Stages) -> str:
    """Undo what `journal` describes and bring up what ran before; what is in service now. Keeps the journal.

    Raises Failed when systemd does not cooperate; the files are back in any case.
    """
    before = {unit: units.Unit(unit, active, enabled) for unit, active, enabled in journal["units"]}
    idle = [name for name, unit in before.items() if not unit.running]
    strange = [name for name, unit in before.items() if unit.enabled not in units.ENABLED]
    try:
        # While the delivered unit files are still there: systemd needs them to stop and to disable.
        if idle:
            units.must(["systemctl", "stop", *idle], f"stopping {', '.join(idle)}", idle, stages)
        if strange:
            units.must(["systemctl", "--no-reload", "disable", *strange], f"disabling {', '.join(strange)}", [], stages)
    finally:
        swap.restore(journal)
    paths = [entry["path"] for entry in journal["entries"]]
    units.reread(paths, time.monotonic(), stages)
    ran = [name for name in before if name not in idle]
    if ran:
        found = units.states(ran)
        kind, _ = units.action(found, paths, journal["restart_on"], journal["reload"])
        since = time.time()
        try:
            units.act(kind, found, journal["reload"], stages)
            units.prove(ran, since, stages)
        except report.Failed:
            units.act("restart", units.states(ran), journal["reload"], stages)
            units.prove(ran, since, stages)
    elif journal["reload"] and not before:
        units.act("reload", [], journal["reload"], stages)
    return f"the files from before ({len(paths)} restored); {units.describe(units.states(list(before)))}"


def recover(service: str) -> None:
    """Undo what an interrupted run left, if any."""
    journal = swap.pending(service)
    if not journal:
        return
    stages = report.Stages(["recover"])
    with stages("recover"):
        report.say(f"  an earlier run was interrupted: {len(journal['entries'])} files go back to what they were")
        try:
            stages.detail = take_back(journal, stages)
        except report.Failed as failure:
            # The files are back; the delivery that follows starts the daemon again and judges it.
            stages.detail = f"files restored, but {failure.why}"
        swap.commit(service)


def _undo(service: str, failure: report.Failed, stages: report.Stages) -> None:
    journal = swap.pending(service)
    if journal is None:
        failure.in_service = "what was before: no file was touched"
        return
    try:
        failure.in_service = take_back(journal, stages)
    except report.Failed as second:
        failure.in_service = f"the files from before, but {second.why}: the service is down"
        failure.message = "\n".join(filter(None, [failure.message, "taking it back:", second.message]))
    swap.commit(service)


def _serve(
    bundle: bundles.Bundle, changed: Sequence[staging.Change], before: list[units.Unit], stages: report.Stages
) -> None:
    paths = [change.path for change in changed]
    names = bundle.units if bundle.starts else [unit.name for unit in before]
    with stages("units"):
        reread = units.reread(paths, time.monotonic(), stages)
        # A unit file that was just delivered may stand in for one of another state, such as a generated one.
        before = units.states(names) if reread else before
        enabled = units.enable(before, stages) if bundle.starts else []
        done = ["daemon-reload"] * reread + [f"enabled {name}" for name in enabled]
        stages.detail = ", ".join(done) or "nothing to do"
    with stages("reload"):
        kind, why = units.action(before, paths, bundle.restart_on, bundle.reload)
        if not bundle.starts and not names:
            kind, why = "nothing", "no unit runs by a file that changed"
        since = time.time()
        units.act(kind, before, bundle.reload, stages)
        if kind != "nothing" and not bundle.health:
            units.prove(names, since, stages)
        stages.detail = f"{kind} ({why})"
    with stages("health"):
        health.verify(bundle.health, names, since, stages)
        # Afterwards: a daemon may have ended after it answered.
        running = units.prove(names, since, stages)
        stages.detail = f"{len(bundle.health)} of {len(bundle.health)} probes; {running}"


def _swap(service: str, changed: Sequence[staging.Change], context: dict[str, Any]) -> None:
    try:
        swap.swap(service, changed, context)
    except OSError as error:
        raise report.Failed(
            f"{error.filename or 'a file'} cannot be written: {error.strerror}",
            remedy="make room or mend the file system on the services host, then run the update again",
        ) from error


def deliver(bundle: bundles.Bundle, stages: report.Stages) -> None:
    """Bring `bundle` into service. Raises Failed, with the old configuration back in service."""
    with stages("stage"):
        changed = staging.changes(bundle)
        before = units.states(bundle.units)
        if not bundle.starts:
            before = units.disturbed(before, [change.path for change in changed])
        stages.detail = f"{len(bundle.files)} files, {len(changed)} changed"
    for change in changed:
        report.say(f"  {change.path} ({change.what})")
    try:
        with stages("check"):
            if changed and bundle.checks:
                staging.check(bundle, changed, stages)
            names = ", ".join(check.name for check in bundle.checks) or "the service has none"
            stages.detail = names if changed else "nothing changed"
    except report.Failed as failure:
        failure.in_service = f"what was before: no file was touched; {units.describe(before)}"
        raise
    context = {"units": [unit[:3] for unit in before], "reload": bundle.reload, "restart_on": bundle.restart_on}
    try:
        with stages("swap"):
            if changed:
                selinux.admit(bundle, stages)
                _swap(bundle.service, changed, context)
            stages.detail = f"{len(changed)} files"
        _serve(bundle, changed, before, stages)
    except report.Failed as failure:
        failure.file = failure.file or ", ".join(change.path for change in changed)
        failure.remedy = failure.remedy or REMEDY
        if changed:
            _undo(bundle.service, failure, stages)
        else:
            failure.in_service = f"the same files as before; {units.describe(units.states(bundle.units))}"
        raise
    swap.commit(bundle.service)


def main(arguments: list[str], document: Any) -> None:
    """Deliver the bundle of `document`."""
    service = bundles.service_name(document.get("service") if isinstance(document, dict) else None)
    with files.lock(service, "deliver"):
        recover(service)
        packages.ensure(document.get("packages", []), report.Stages(["packages"]), quiet=True)
        deliver(bundles.parse(document), report.Stages(STAGES))
