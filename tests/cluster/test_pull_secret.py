"""Pull secrets: the merged one knows every registry, the cluster's own knows the mirror alone."""

from __future__ import annotations

import base64
import json
from typing import Any

from cluster import logins, pull_secret
from tests.cluster.conftest import planned

GIVEN = {
    "auths": {
        "quay.io": {"auth": base64.b64encode(b"me:word").decode(), "email": "me@example.com"},
        "services.okd.example.com:5000": {"auth": base64.b64encode(b"old:old").decode()},
    },
    "credHelpers": {},
}
MIRROR = {"auth": base64.b64encode(b"okd:pass").decode()}


def with_secret(config: dict[str, Any]) -> None:
    config["release"] = {"pullSecret": json.dumps(GIVEN)}
    config["install"] = {}


def test_the_mirror_joins_what_the_settings_give_and_takes_its_place() -> None:
    document = json.loads(pull_secret.merged(planned("hard-way", with_secret), "okd", "pass"))
    assert document["auths"] == {"quay.io": GIVEN["auths"]["quay.io"], "services.okd.example.com:5000": MIRROR}
    assert document["credHelpers"] == {}


def test_without_one_given_the_mirror_is_alone() -> None:
    plan = planned("hard-way")
    assert json.loads(pull_secret.merged(plan, "okd", "pass")) == json.loads(pull_secret.local(plan, "okd", "pass"))


def test_the_clusters_own_knows_the_mirror_and_nothing_else() -> None:
    plan = planned("hard-way", with_secret)
    text = pull_secret.local(plan, "okd", "pass")
    assert json.loads(text) == {"auths": {"services.okd.example.com:5000": MIRROR}}
    assert logins.faults(text) == []
