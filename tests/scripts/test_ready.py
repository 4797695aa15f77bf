"""Readiness and the command line: what cloud-init leaves behind, help, and documents that are none."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from cluster.host_os import CLOUD_INIT_OFF, CLOUD_INIT_OFF_TEXT
from tests.patience import PATIENCE_SECONDS
from tests.scripts.host import Host

pytestmark = pytest.mark.daemons

VERBS = ["prepare", "ready", "packages", "storage", "secrets", "deliver", "fetch", "smoke", "node-join"]


@pytest.fixture
def booting(host: Host) -> Host:
    """A host with cloud-init, in its first boot."""
    host.sh("mkdir -p /mnt/bin /run/cloud-init && cp -a /usr/bin/env /mnt/bin/ && touch /mnt/cloud-init")
    host.sh("mkdir -p /etc/cloud")
    host.sh("mkdir -p /mnt/up /mnt/work && touch /mnt/up/cloud-init")
    host.sh("mount -t overlay o -o lowerdir=/usr/bin,upperdir=/mnt/up,workdir=/mnt/work /usr/bin")
    return host


def result(errors: list[str]) -> str:
    return json.dumps({"v1": {"datasource": "DataSourceNoCloud", "errors": errors}})


def test_a_host_without_cloud_init_is_ready_and_names_its_system(host: Host) -> None:
    host.write("/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    done = host.agent("ready", document={})
    assert done.returncode == 0
    assert "first boot finished, debian-12" in done.stdout
    assert "No such file" in host.sh(f"ls {CLOUD_INIT_OFF}", check=False)


def test_the_first_boot_is_waited_for(booting: Host) -> None:
    agent = booting.start_agent("ready", {})
    time.sleep(1.5)
    assert agent.poll() is None
    booting.write("/run/cloud-init/result.json", result([]))
    assert agent.communicate(timeout=PATIENCE_SECONDS)[0].startswith("stage 1/1 ready: first boot finished")
    assert agent.returncode == 0


def test_the_first_boot_stays_the_only_one_of_cloud_init(booting: Host) -> None:
    booting.write("/run/cloud-init/result.json", result([]))
    assert booting.agent("ready", document={}).returncode == 0
    assert booting.read(CLOUD_INIT_OFF) == CLOUD_INIT_OFF_TEXT
    booting.sh(f"touch -d 2020-01-01 {CLOUD_INIT_OFF}")
    assert booting.agent("ready", document={}).returncode == 0
    assert booting.sh(f"date +%Y -r {CLOUD_INIT_OFF}") == "2020\n"


def test_errors_of_the_first_boot_are_told(booting: Host) -> None:
    booting.write("/run/cloud-init/result.json", result(["('ssh', no such key type)"]))
    done = booting.agent("ready", document={})
    assert done.returncode == 1
    assert "No such file" in booting.sh(f"ls {CLOUD_INIT_OFF}", check=False)
    assert "no such key type" in done.stderr
    assert "/var/log/cloud-init.log" in done.stderr


def test_a_first_boot_that_never_ends_is_given_up(booting: Host) -> None:
    booting.waits(FIRST_BOOT=1)
    done = booting.agent("ready", document={})
    assert done.returncode == 1
    assert "cloud-init is not done after 1 s" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_its_document(host: Host, verb: str) -> None:
    help_text = host.run(*host_argv(verb, "--help"))
    assert help_text.startswith(f"okd-host {verb}: {verb}")
    assert "Document: {" in help_text


def host_argv(*arguments: str) -> list[str]:
    from tests.scripts.host import SCRIPTS

    return ["env", f"PYTHONPATH={SCRIPTS}", "/usr/bin/python3", "-m", "okd_host", *arguments]


def test_the_help_names_every_verb(host: Host) -> None:
    help_text = host.run(*host_argv("--help"))
    for verb in VERBS:
        assert f"\n  {verb} " in help_text


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [(["no-such"], "{}", "unknown verb 'no-such'"), (["deliver"], "{", "the document on stdin is not JSON")],
)
def test_a_wrong_call_is_told_apart(host: Host, arguments: list[str], stdin: str, said: str) -> None:
    done = subprocess.run(host.agent_argv(*arguments), input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
