"""The real installer refuses what the settings refuse in its name, and takes what they take."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import install_config, mirror, pull_secret
from cluster.certificates import bundle
from lab import release
from tests.cluster.test_installer_rules import LONG
from tests.cluster.test_proxy import ELEMENTS, INSIDE
from tests.patience import PATIENCE_SECONDS
from tests.rendering.test_install_config import DIGEST, LOGIN_KEY, planned

pytestmark = pytest.mark.release
# Refused for another reason: the cluster is built on IPv4 alone, and a comma makes two elements.
TAKEN = ("fd00::/8", "::1", "example.com,example.org")
GOOD = ["10.0.0.0/8", "10.20.0.5/16", "10.20.0.8", "registry.example.com", ".corp", "a--b.example.com", "bar.com"]
SOURCES = {
    "-quay.io/x/y": "failed to parse",
    "quay-.io/x/y": "failed to parse",
    "docker.io/registry": "the repository provided is invalid",
    "index.docker.io/library/registry": "the repository provided is invalid",
    LONG: "failed to parse",
}


def said(directory: Path, values: dict[str, str], change: dict[str, Any]) -> str:
    """What the installer says about the install-config with a change; empty when it takes it."""
    plan = planned(("",), {})
    told = install_config.document(plan, bundle(values["ca-certificate"]), LOGIN_KEY)
    secret = {"pullSecret": pull_secret.local(plan, "okd", "word")}
    (directory / "install-config.yaml").write_text(json.dumps(told | secret | change))
    argv = [str(release.installer(None)), "create", "manifests", "--dir", str(directory)]
    pull_spec = f"{plan.registry}/{mirror.release_repository(plan)}@{DIGEST}"
    environment = os.environ | {"OPENSHIFT_INSTALL_RELEASE_IMAGE_OVERRIDE": pull_spec, "HOME": str(directory)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS, check=False)
    return done.stderr if done.returncode else ""


def test_it_refuses_every_element_of_no_proxy_that_the_settings_refuse_by_its_rules(
    tmp_path: Path, values: dict[str, str]
) -> None:
    given = [element for element in ELEMENTS if element not in TAKEN]
    text = said(tmp_path, values, {"proxy": {"httpProxy": INSIDE, "noProxy": ",".join([*GOOD, *given])}})
    numbers = {int(number) for number in re.findall(r"violated by element (\d+)", text)}
    assert numbers == set(range(len(GOOD), len(GOOD) + len(given))), text


@pytest.mark.parametrize(
    "proxy", ["http://pro%78y.example.com", "https://192.168.200.8", "socks5://192.168.200.8", "http://10.128.0.1:3128"]
)
def test_it_refuses_a_proxy_that_the_settings_refuse_by_its_rules(
    tmp_path: Path, values: dict[str, str], proxy: str
) -> None:
    assert "proxy.httpProxy" in said(tmp_path, values, {"proxy": {"httpProxy": proxy}})


def test_it_refuses_every_source_that_the_settings_refuse_by_its_rules(tmp_path: Path, values: dict[str, str]) -> None:
    sources = [{"source": source, "mirrors": ["services.okd.example.com:5000/x/y"]} for source in SOURCES]
    text = said(tmp_path, values, {"imageDigestSources": sources})
    for number, words in enumerate(SOURCES.values()):
        assert re.search(rf"imageDigestSources\[{number}\]\.source: [^]]*?{words}", text), text


def test_it_takes_what_the_settings_take(tmp_path: Path, values: dict[str, str]) -> None:
    names = ["docker.io/library/registry", "Quay.Example.COM:8443/a-b/c__d/e--f", "10.1.1.1:5000/x/y", "a--b.io/x"]
    sources = [{"source": name, "mirrors": ["services.okd.example.com:5000/x/y"]} for name in names]
    proxy = {"httpProxy": INSIDE, "noProxy": ",".join(GOOD)}
    assert said(tmp_path, values, {"imageDigestSources": sources, "proxy": proxy}) == ""
