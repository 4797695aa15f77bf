"""Plans of the shipped stacks, and of stacks changed from them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from cluster.plan import Plan
from cluster.settings import Settings
from tests.conftest import stack_config

# A busy machine is not a failed property.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

Change = Callable[[dict[str, Any]], None]


def planned(stack: str, change: Change = lambda config: None) -> Plan:
    """The plan of a shipped stack after `change` edited its settings."""
    config = copy.deepcopy(stack_config(stack))
    change(config)
    return Plan.of(Settings.parse(config, stack))


def of_architecture(plan: Plan, name: str) -> Plan:
    """The plan for machines of an architecture that the settings do not take yet."""
    release = plan.settings.release.model_copy(update={"architecture": name})
    return Plan.of(plan.settings.model_copy(update={"release": release}))


@pytest.fixture
def hard_way() -> Plan:
    """The fourteen-machine topology."""
    return planned("hard-way")


@pytest.fixture
def dev() -> Plan:
    """The lab's stack."""
    return planned("dev")
