"""The stack's plan: the only module that touches Pulumi's configuration."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, is_config_secret

from cluster import changes, preflight, settings_doubts, settings_keys, stack_file, summary
from cluster.before import Before
from cluster.changes import files
from cluster.changes.effects import Effect
from cluster.changes.form import Forms
from cluster.changes.standing import Standing
from cluster.plan import Plan
from cluster.preflight.facts import HostFacts
from cluster.project_files import PROJECT
from cluster.settings import Settings, SettingsError
from components import host_look
from components.image import image_digest
from components.installation import COMPLETE

ENGINE = ">=3.257.0"


async def planned(left: Mapping[str, Any]) -> tuple[Plan, HostFacts, Forms]:
    """The current stack's plan, what its libvirt host is seen to be, and in which form each domain is to be defined.

    What the plan changes of a stack that stands is said in words.

    `left` are the resources that the last update left, by URN (last_update.py).

    Raises:
        pulumi.RunError: one report of everything that is wrong; nothing of the plan has been declared by then.
    """
    _require_engine()
    try:
        before = _before(left)
        plan = Plan.of(_settings(stands=Standing.of(before).begun), before)
        # A task would start to look only once it is waited for.
        looking = asyncio.get_running_loop().run_in_executor(None, host_look.look, plan)
        overview = "\n".join(summary.lines(plan)) if pulumi.runtime.is_dry_run() else ""
        facts = await looking
        found = preflight.findings(plan, facts)
        plain = settings_doubts.in_plain_text(plan.settings, _is_secret)
        for problem in (*plan.settings.warnings, *plain, *found.warned):
            pulumi.log.warn(str(problem))
        if problems := [*changes.refused(plan), *found.refused]:
            raise SettingsError(problems)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error
    if overview:
        pulumi.log.info(overview)
    effects = _effects(plan, facts)
    # A preview shows the files that change as well.
    shown = files.diffs(plan) if pulumi.runtime.is_dry_run() else []
    for message in (*(one.words for one in effects), *shown):
        pulumi.log.info(message)
    return plan, facts, changes.forms(plan, effects, facts.processors.machines if facts.processors else frozenset())


def _require_engine() -> None:
    """Refuse an engine that is too old to read `requiredPulumiVersion` from Pulumi.yaml by itself."""
    try:
        pulumi.require_pulumi_version(ENGINE)
    except Exception as error:  # the SDK raises no type of its own
        raise pulumi.RunError(f"this program takes Pulumi {ENGINE}: {error}; install a newer one") from error


def _effects(plan: Plan, facts: HostFacts) -> list[Effect]:
    """What becomes of what stands."""
    image = plan.settings.services.image
    return changes.effects(
        plan,
        image=functools.partial(image_digest, image.location, image.sha256),
        domain_type=preflight.domain_type(plan, facts),
    )


def _settings(*, stands: bool) -> Settings:
    """Every key under the project's prefix is read, so that an unknown one is reported rather than ignored."""
    prefix = f"{pulumi.get_project()}:"
    # pulumi.Config reads known keys only and cannot list them.
    found = {key.removeprefix(prefix): _parsed(value) for key, value in CONFIG.get().items() if key.startswith(prefix)}
    stack = pulumi.get_stack()
    # What Pulumi hands over does not show it any more.
    misread = stack_file.misread(PROJECT / f"Pulumi.{stack}.yaml")
    strayed = settings_keys.strayed(CONFIG.get(), pulumi.get_project())
    return Settings.parse(found, stack, known=[*strayed, *misread], stands=stands)


def _is_secret(key: str) -> bool:
    return is_config_secret(f"{pulumi.get_project()}:{key}")


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _before(known: Mapping[str, Any]) -> Before:
    outputs: dict[str, Any] = next(
        (one["outputs"] for one in known.values() if one["type"] == "pulumi:pulumi:Stack"), {}
    )
    # A stack of which only the protected volume was left by a destroy still shows its outputs.
    stands = any(urn.endswith(f"::{COMPLETE}") for urn in known)
    resources = [{"urn": urn, **one} for urn, one in known.items()]
    return Before.of(outputs if stands else {}, resources)
