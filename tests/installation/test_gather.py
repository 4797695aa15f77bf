"""Gathering: what the file holds, what it does not hold, and how many are kept."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.installation.fake_api import FakeApi
from tests.installation.machines import BOOTSTRAP, COMPUTE, CONTROL_PLANE, Machines, machines, result

__all__ = ["machines"]
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAtheprivatepartofakey\n-----END RSA PRIVATE KEY-----"
PASSWORD = "the-registry-password-of-64-characters"
AUTH = base64.b64encode(f"okd:{PASSWORD}".encode()).decode()
HTPASSWD = "admin:$2y$05$thehashofthepassword"
MANIFEST = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: okd-admin\n  namespace: openshift-config\nstringData:\n  htpasswd: {HTPASSWD}\n"


@pytest.fixture
def gather(agent: Any, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = agent.load("installation.gather")
    commands = agent.load("commands")
    result = commands.Result
    monkeypatch.setattr(
        commands, "run", lambda argv, **_: result(0, f"{argv[-1]} has logged this") if argv[0] == "journalctl" else None
    )
    return module


def document(api: FakeApi, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "boot.log").write_text('{"uri": "/images/kernel", "status": 200}\n')
    rows = [BOOTSTRAP, CONTROL_PLANE[0], COMPUTE[0]]
    return {"api": api.where, "machines": rows, "units": {"dhcp": "kea"}, "logs": [str(tmp_path / "boot.log")]}


def texts(path: str) -> dict[str, str]:
    """What a gathered file holds, by name without the directory that is named by the time."""
    with tarfile.open(path) as archive:
        found = {}
        for entry in archive:
            file = archive.extractfile(entry)
            assert file
            found[entry.name.partition("/")[2]] = file.read().decode()
    return found


def test_machines_services_and_cluster_are_in_one_file(
    gather: Any, api: FakeApi, machines: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.node("compute-0", ready=False)
    api.config_map("kube-system", "bootstrap", status="progressing")
    machines["bootstrap"].journal = "bootkube: waiting for etcd"
    gather.main([], document(api, tmp_path))
    found = result(capsys.readouterr().out)
    assert found["machines"] == ["bootstrap", "control-plane-0", "compute-0"]
    inside = texts(found["file"])
    assert inside["machines/bootstrap.log"] == "bootkube: waiting for etcd"
    assert inside["services/dhcp.log"] == "kea has logged this"
    assert "/images/kernel" in inside["services/boot.log"]
    assert json.loads(inside["cluster/nodes.json"])["items"][0]["metadata"]["name"].startswith("compute-0")
    assert "progressing" in inside["cluster/bootstrap.json"]
    assert {"cluster/events.json", "cluster/cluster-operators.json", "cluster/certificate-requests.json"} <= set(inside)


def test_only_root_may_read_it(gather: Any, api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gather.main([], document(api, tmp_path))
    path = Path(result(capsys.readouterr().out)["file"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_does_not_answer_is_noted_and_no_failure(
    gather: Any, api: FakeApi, machines: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machines["bootstrap"].on = False
    machines["compute-0"].login = False
    api.stop()
    asked = document(api, tmp_path)
    asked["logs"].append(str(tmp_path / "never-written.log"))
    gather.main([], asked)
    found = result(capsys.readouterr().out)
    assert found["machines"] == ["control-plane-0"]
    problems = texts(found["file"])["problems.txt"]
    assert "bootstrap: ssh: connect to host: No route to host" in problems
    assert "compute-0: core@: Permission denied" in problems
    assert "the API does not answer" in problems


def test_without_a_set_the_rest_is_gathered(
    gather: Any, cluster: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gather.main([], document(cluster, tmp_path))
    inside = texts(result(capsys.readouterr().out)["file"])
    assert "no credentials" in inside["problems.txt"]
    assert "machines/bootstrap.log" in inside


SECRETS = {
    "a private key": (KEY, "MIIEpAIBAAKCAQEAtheprivatepartofakey"),
    "a private key that is cut off": (KEY[:60], "MIIEpAIBAAKC"),
    "a private key in base64": (base64.b64encode(KEY.encode()).decode(), base64.b64encode(KEY.encode()).decode()[50:]),
    "a bearer token": ("Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.abc", "eyJhbGciOiJSUzI1NiJ9"),
    "a registry's credentials": (f'{{"auth": "{AUTH}"}}', AUTH),
    "the same, unknown to this host": ('{"auth": "c29tZWJvZHk6ZWxzZXMtcGFzc3dvcmQ="}', "c29tZWJvZHk6"),
    "a password in an address": ("GET https://okd:elses-password@registry:5000/v2/", "elses-password"),
    "the registry's password": (f"login as okd with {PASSWORD} failed", PASSWORD),
    "a line of htpasswd": (f"reading {HTPASSWD}", "thehashofthepassword"),
    "its hash alone": (HTPASSWD.partition(":")[2], "thehashofthepassword"),
    "the kubeadmin password": ("password is aaaaa-bbbbb-ccccc-ddddd", "bbbbb-ccccc"),
    "a named token": ('token: "sha256~abcdefghijklmnop"', "abcdefghijklmnop"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_journal_is_taken_out(
    gather: Any,
    agent: Any,
    api: FakeApi,
    machines: Machines,
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = Path(agent.load("files").SECRETS) / "release"
    kept.mkdir(parents=True)
    (kept / "pull-secret").write_text(json.dumps({"auths": {"services:5000": {"auth": AUTH}}}))
    (kept / "manifest-admin").write_text(MANIFEST)
    line, secret = SECRETS[name]
    machines["bootstrap"].journal = f"before this line\n{line}\nafter this line"
    gather.main([], document(api, tmp_path))
    inside = "\n".join(texts(result(capsys.readouterr().out)["file"]).values())
    assert secret not in inside
    assert "before this line" in inside
    assert "after this line" in inside or name == "a private key that is cut off"


@pytest.mark.parametrize(
    "line",
    [
        "the namespace openshift-config has no secret okd-admin",
        "error: failed to pull services:5000/okd/content",
        "-----BEGIN CERTIFICATE-----\nMIIDpublic\n-----END CERTIFICATE-----",
        base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\nMIIBpublic\n-----END").decode(),
        "oauth: waiting for the token",
        "authentication: degraded",
    ],
)
def test_what_is_no_secret_stays_readable(
    gather: Any, agent: Any, api: FakeApi, machines: Machines, line: str, tmp_path: Path
) -> None:
    kept = Path(agent.load("files").SECRETS) / "release"
    kept.mkdir(parents=True)
    (kept / "pull-secret").write_text(json.dumps({"auths": {"services:5000": {"auth": AUTH}}}))
    (kept / "manifest-admin").write_text(MANIFEST)
    machines["bootstrap"].journal = line
    path, _ = gather.collect(document(api, tmp_path))
    assert texts(path)["machines/bootstrap.log"] == line


def test_neither_kubeconfig_nor_ignition_config_is_in_it(gather: Any, api: FakeApi, tmp_path: Path) -> None:
    path, _ = gather.collect(document(api, tmp_path))
    inside = texts(path)
    assert not [name for name in inside if name.endswith((".ign", "kubeconfig"))]
    assert "client-key-data" not in "".join(inside.values())


def test_the_newest_five_are_kept(gather: Any, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_700_000_000.0
    paths = []
    for hour in range(7):
        monkeypatch.setattr(gather.time, "time", lambda hour=hour: moment + hour * 3600)
        paths.append(gather.collect(document(api, tmp_path))[0])
    assert [Path(path).exists() for path in paths] == [False, False, True, True, True, True, True]


def test_a_failure_is_not_hidden_by_a_full_disk(gather: Any, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(document: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gather, "collect", full)
    boot = {"units": {}, "logs": {"http": "", "report": ""}}
    assert "could not be gathered" in gather.for_failure(api.where, [], boot)
    assert "No space left" in gather.for_failure(api.where, [], boot)
