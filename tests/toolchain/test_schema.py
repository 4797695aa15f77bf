"""Each plugin offers what the Python SDK of its version asks for: every resource, function and property."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
from functools import cache
from typing import Any

import pytest

from lab.checkout import LAB
from lab.toolchain import plugins
from lab.toolchain.versions import PLUGINS
from tests.toolchain import sdk

pytestmark = pytest.mark.toolchain

# A function of the provider resource itself, for Terraform modules run by Pulumi.
_ENGINE_ONLY = {"terraformConfig"}


@cache
def schema(name: str) -> dict[str, Any]:
    environment = {**os.environ, "PULUMI_HOME": str(plugins.HOME), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    argv: list[str | os.PathLike[str]] = [LAB / "bin" / "pulumi", "package", "get-schema", name]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_the_version_is_the_one_the_sdk_asks_for(plugin: Any) -> None:
    assert importlib.metadata.version(f"pulumi-{plugin.name}") == plugin.version
    assert schema(plugin.name)["version"] == plugin.version


@pytest.mark.parametrize("name", [plugin.name for plugin in PLUGINS])
def test_every_resource_is_offered_and_no_other(name: str) -> None:
    assert set(schema(name)["resources"]) == set(sdk.package(f"pulumi_{name}")["resources"])


@pytest.mark.parametrize("name", [plugin.name for plugin in PLUGINS])
def test_every_function_is_offered_and_no_other(name: str) -> None:
    offered = {token for token in schema(name).get("functions", {}) if token.split("/")[-1] not in _ENGINE_ONLY}
    assert offered == set(sdk.package(f"pulumi_{name}")["functions"])


@pytest.mark.parametrize("name", [plugin.name for plugin in PLUGINS])
def test_every_property_has_the_sdks_type_and_need(name: str) -> None:
    document = schema(name)
    for token, wanted in sdk.package(f"pulumi_{name}")["resources"].items():
        spec = document["resources"][token]
        offered = sdk.schema_properties(document, spec, "inputProperties", "requiredInputs")
        assert offered == wanted["inputs"], f"inputs of {token}"
        assert sdk.schema_properties(document, spec, "properties", "required") == wanted["outputs"], (
            f"outputs of {token}"
        )


@pytest.mark.parametrize("name", [plugin.name for plugin in PLUGINS])
def test_every_argument_and_result_has_the_sdks_type(name: str) -> None:
    document = schema(name)
    for token, wanted in sdk.package(f"pulumi_{name}")["functions"].items():
        spec = document["functions"][token]
        offered = sdk.schema_properties(document, spec.get("inputs", {}), "properties", "required")
        assert {n: t for n, (t, _) in offered.items()} == wanted["inputs"], f"arguments of {token}"
        offered = sdk.schema_properties(document, spec["outputs"], "properties", "required")
        assert offered == wanted["outputs"], f"result of {token}"


@pytest.mark.parametrize("name", [plugin.name for plugin in PLUGINS])
def test_secrets_and_replacements_are_those_of_the_sdk(name: str) -> None:
    for token, wanted in sdk.package(f"pulumi_{name}")["resources"].items():
        spec = schema(name)["resources"][token]
        secret = {prop for prop, value in spec["properties"].items() if value.get("secret")}
        assert secret == wanted["secrets"], f"secret outputs of {token}"
        replacing = {f"{prop}[*]" for prop, v in spec.get("inputProperties", {}).items() if v.get("replaceOnChanges")}
        assert replacing == wanted["replaces"], f"replacing inputs of {token}"


@pytest.mark.parametrize("name", [plugin.name for plugin in PLUGINS])
def test_the_provider_takes_the_sdks_configuration(name: str) -> None:
    document = schema(name)
    offered = sdk.schema_properties(document, document.get("provider", {}), "inputProperties", "requiredInputs")
    assert offered == sdk.package(f"pulumi_{name}")["provider"]


def test_a_connection_has_the_sdks_defaults() -> None:
    for kind in ("Connection", "ProxyConnection"):
        properties = schema("command")["types"][f"command:remote:{kind}"]["properties"]
        defaults = {name: value["default"] for name, value in properties.items() if "default" in value}
        assert defaults == {"dialErrorLimit": 10, "perDialTimeout": 15, "port": 22, "user": "root"}
