"""The stack's settings as Pulumi hands them over: the only module that touches Pulumi's configuration."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG

from cluster.settings import Settings, SettingsError


def settings() -> Settings:
    """The validated settings of the current stack.

    Every key under the project's prefix is read, so that an unknown one is reported rather than ignored.

    Raises:
        pulumi.RunError: one report of everything that is wrong; nothing has been registered by then.
    """
    prefix = f"{pulumi.get_project()}:"
    # pulumi.Config reads known keys only and cannot list them.
    found = {key.removeprefix(prefix): _parsed(value) for key, value in CONFIG.get().items() if key.startswith(prefix)}
    try:
        return Settings.parse(found, pulumi.get_stack())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value
