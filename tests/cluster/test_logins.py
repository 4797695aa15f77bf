"""A pull secret's entries are found as containers/image finds them, and what no program would find is refused."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from cluster import pull_secret
from cluster.logins import Login, Logins, endpoint, faults, secrets
from cluster.settings import Settings, SettingsError
from tests.cluster.conftest import planned
from tests.conftest import ROOT, stack_config

PLACE = "registry.example.com:5000/team/app"


def entry(user: str, password: str = "word", **more: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode(), **more}


def secret(*keys: str, **more: Any) -> str:
    """A pull secret with an entry for each key, whose user is the key."""
    return json.dumps({"auths": {key: entry(key.replace(":", "")) for key in keys}, **more})


def test_the_agent_reads_it_with_the_same_module() -> None:
    assert os.path.samefile(ROOT / "scripts/okd_host/logins.py", ROOT / "cluster/logins.py")


@pytest.mark.parametrize(
    ("keys", "place", "found"),
    [
        (["registry.example.com:5000"], PLACE, "registry.example.com:5000"),
        (["registry.example.com:5000/team", "registry.example.com:5000"], PLACE, "registry.example.com:5000/team"),
        ([PLACE, "registry.example.com:5000/team"], PLACE, PLACE),
        (["registry.example.com:5000/te", "registry.example.com"], PLACE, None),
        (["https://registry.example.com:5000"], PLACE, "https://registry.example.com:5000"),
        (["https://registry.example.com:5000/"], PLACE, "https://registry.example.com:5000/"),
        (["http://registry.example.com:5000/v1/"], PLACE, "http://registry.example.com:5000/v1/"),
        (["https://registry.example.com:5000/v2/"], PLACE, "https://registry.example.com:5000/v2/"),
        # A URL is a whole registry's, whatever its path.
        (["https://registry.example.com:5000/other"], PLACE, "https://registry.example.com:5000/other"),
        (["https://registry.example.com:5000/v1/", "registry.example.com:5000"], PLACE, "registry.example.com:5000"),
        (["registry.example.com:5000/"], PLACE, None),
        (["registry.example.com:5000/v1/"], PLACE, None),
        (["https://index.docker.io/v1/"], "docker.io/library/registry", "https://index.docker.io/v1/"),
        (["index.docker.io"], "docker.io/library/registry", "index.docker.io"),
        (["registry-1.docker.io"], "docker.io/library/registry", "registry-1.docker.io"),
        (["https://index.docker.io/v1/", "docker.io"], "docker.io/library/registry", "docker.io"),
        (["docker.io/library"], "docker.io/library/registry", "docker.io/library"),
        (["docker.io/other", "https://index.docker.io/v1/"], "docker.io/library/x", "https://index.docker.io/v1/"),
        (["docker.io"], "registry-1.docker.io/library/registry", "docker.io"),
        (["quay.io"], "docker.io/library/registry", None),
    ],
)
def test_an_entry_is_found_by_every_spelling_of_its_key(keys: list[str], place: str, found: str | None) -> None:
    login = Logins.of(secret(*keys)).find(place)
    assert (login.user if login else None) == (found.replace(":", "") if found else None)


def test_docker_hub_answers_elsewhere_than_its_name_says() -> None:
    assert endpoint("docker.io") == endpoint("index.docker.io") == "registry-1.docker.io"
    assert endpoint("quay.io") == "quay.io"
    assert endpoint("registry.example.com:5000") == "registry.example.com:5000"


GOOD = {
    "docker login": secret("https://index.docker.io/v1/"),
    "podman login, for a namespace": secret("quay.io/team", "docker.io", "localhost:5000"),
    "a registry by URL": secret("https://quay.io/v2/", "http://registry.example.com:5000"),
    "an identity token": json.dumps({"auths": {"a.azurecr.io": entry("0000", "", identitytoken="eyJ.long.token")}}),
    "the same login by two spellings": json.dumps(
        {"auths": dict.fromkeys(("https://q.io/v1/", "https://q.io"), entry("me"))}
    ),
    "helpers of nothing": secret("quay.io", credHelpers={}, credsStore=""),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_login_commands_write_is_taken(text: str) -> None:
    assert faults(text) == []


BAD = {
    "a slash at the end": (secret("quay.io/"), "no program looks for", "write quay.io,"),
    "an API without its scheme": (secret("index.docker.io/v1/"), "no program looks for", "write index.docker.io,"),
    "a tag": (secret("quay.io/okd/scos:4.19"), "no program looks for", "write quay.io,"),
    "a user in the key": (secret("https://me:word@quay.io/v1/"), "no program looks for", "write registry.example.com"),
    "another scheme": (secret("docker://quay.io"), "no program looks for", "with its port"),
    "a marker of a credential store": (
        json.dumps({"auths": {"quay.io": {}}, "credsStore": "desktop"}),
        "(quay.io) is empty: the password is in a credential store",
        "podman login --authfile",
    ),
    "credential helpers": (
        secret("quay.io", credHelpers={"a.example.com": "ecr-login"}),
        "oc would stop",
        "credHelpers",
    ),
    "user and password apart": (
        json.dumps({"auths": {"quay.io": {"username": "me", "password": "word"}}}),
        "username and password apart",
        "podman login",
    ),
    "no password and no token": (
        json.dumps({"auths": {"quay.io": entry("me", "")}}),
        "user:password in base64",
        "log in",
    ),
    "two logins of one registry": (
        json.dumps({"auths": {"https://quay.io/v1/": entry("me"), "https://quay.io/v2/": entry("you")}}),
        "entries 1 and 2 of its auths are all for quay.io",
        "under the key quay.io",
    ),
    "two logins of Docker Hub": (
        json.dumps({"auths": {"index.docker.io": entry("me"), "https://index.docker.io/v1/": entry("you")}}),
        "all for docker.io",
        "under the key docker.io",
    ),
}


@pytest.mark.parametrize(("text", "harm", "fix"), BAD.values(), ids=BAD)
def test_what_no_program_would_find_or_could_use_is_refused(text: str, harm: str, fix: str) -> None:
    (fault,) = faults(text)
    assert harm in fault.harm
    assert fix in fault.fix
    assert "word" not in fault.harm.replace("password", "")


def test_all_faults_are_in_one_report_of_the_settings() -> None:
    text = json.dumps({"auths": {"quay.io/": entry("me"), "docker.io": {}, "gcr.io": entry("me")}})
    with pytest.raises(SettingsError) as caught:
        Settings.parse(stack_config("prod") | {"release": {"pullSecret": text}}, "prod")
    (problem,) = caught.value.problems
    assert problem.setting == "release.pullSecret"
    assert "entry 1 of its auths has a key" in problem.harm
    assert "entry 2 of its auths (docker.io) has no auth" in problem.harm


def test_every_secret_of_it_is_known_as_one() -> None:
    text = json.dumps({"auths": {"a.azurecr.io": entry("me", "long-word", identitytoken="eyJ.long.token")}})
    assert {"long-word", "me:long-word", entry("me", "long-word")["auth"], "eyJ.long.token"} <= set(secrets(text))


def test_an_identity_token_is_a_login_without_a_password() -> None:
    text = json.dumps({"auths": {"a.azurecr.io": entry("0000", "", identitytoken="eyJ.long.token")}})
    assert Logins.of(text).find("a.azurecr.io/x") == Login("0000", "", "eyJ.long.token")


def test_no_entry_of_the_users_counts_for_the_mirror() -> None:
    registry = planned("hard-way").registry
    mine = (f"{registry}/okd", f"https://{registry}/v1/", registry, "quay.io")
    plan = planned("hard-way", lambda config: config["release"].update(pullSecret=secret(*mine)))
    document = json.loads(pull_secret.merged(plan, "okd", "pass"))
    assert document["auths"] == {registry: entry("okd", "pass"), "quay.io": entry("quay.io")}


@pytest.mark.parametrize(
    ("image", "fix"),
    [
        ("docker.io/registry", "docker.io/library/registry"),
        ("index.docker.io/library/registry", "docker.io/library/registry"),
        ("index.docker.io/registry", "docker.io/library/registry"),
    ],
)
def test_a_reference_to_docker_hub_is_written_as_nodes_ask_for_it(image: str, fix: str) -> None:
    digest = f"@sha256:{'a' * 64}"
    config = stack_config("prod") | {"release": {"additionalImages": [image + digest]}}
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config, "prod")
    (problem,) = caught.value.problems
    assert problem.setting == "release.additionalImages[0]"
    assert problem.fix == f"write {fix}{digest}"
    good = stack_config("prod") | {"release": {"additionalImages": [fix + digest]}}
    assert Settings.parse(good, "prod").release.additional_images == (fix + digest,)
