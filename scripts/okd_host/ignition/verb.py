"""ignition: the ignition configs and first credentials of the cluster, made by the release's installer and published.

Document: {"release": pull spec by digest, "version", "tools": directory of openshift-install, "installConfig": {...}
without its pull secret, "manifests": {name: text}, "secretManifests": {name: {"secret", "sha256"}}, "pullSecret":
{"secret", "sha256"}, "publish": {"directory", "group", "mode", "selinux"}, "api": {"url", "address"},
"renewAfterHours", "generation"; optional "cluster": an id, by which a set is told from that of a destroyed stack whose
data volume was kept, and "objects": {name: {"group", "kind", "namespace", "name"}} in manifests of the user's}.
Secrets are those that `okd-host secrets release` keeps.

A set is used again while it is fresh and made of the same inputs; otherwise it is made again as a whole, unless its
cluster is up or was. The age is that of the certificates in the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from typing import Any

from okd_host import files, limits, report
from okd_host.ignition import (
    BEFORE,
    CONFIGS,
    INPUTS,
    INSTALL,
    NEW,
    certificates,
    clock,
    cluster,
    configs,
    guard,
    installer,
)
from okd_host.ignition import manifests as manifest_files
from okd_host.ignition.publish import Place, publish, swap

STAGES = ("guard", "clock", "install-config", "manifests", "ignition", "check", "record", "publish")
KEYS = {
    "release",
    "version",
    "tools",
    "installConfig",
    "manifests",
    "secretManifests",
    "pullSecret",
    "publish",
    "api",
    "renewAfterHours",
    "generation",
}
# A set that is about to be replaced is worth asking more than once.
API_TRIES = 3


def inputs(document: dict[str, Any]) -> dict[str, str]:
    """A SHA-256 of everything that a set is made of."""
    secrets = {"pullSecret": document["pullSecret"], **document["secretManifests"]}
    parts = {
        "release": document["release"],
        "installConfig": document["installConfig"],
        "manifests": document["manifests"],
        "secrets": {name: row["sha256"] for name, row in secrets.items()},
    }
    return {name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for name, part in parts.items()}


def main(arguments: list[str], document: Any) -> None:
    """Have a set that can be installed with, and publish it."""
    missing = sorted(KEYS - set(document)) if isinstance(document, dict) else sorted(KEYS)
    if missing:
        raise report.Failed(f"the document lacks {', '.join(missing)}", remedy="see okd-host ignition --help")
    stages = report.Stages(STAGES)
    with files.lock("ignition", "ignition"):
        with stages("guard"):
            installer.clear()
            place = Place.parse(document["publish"])
            decision, state = _guard(document)
            stages.detail = decision.why
        if not decision.reuse:
            _make(document, stages)
        with stages("publish"):
            with guard.reading() as read:
                contents = {name: read(name) for name in CONFIGS}
            stages.detail = f"{', '.join(CONFIGS)}: {publish(place, contents)} in {place.directory}"
        found = guard.known()
        if not found or found.damage:
            raise report.Failed(f"the set in {INSTALL} cannot be read back", remedy="look at that disk (dmesg)")
    report.result(
        {
            "made": certificates.moment(found.validity.made),
            "expiry": certificates.moment(found.validity.expiry),
            "digest": configs.digest(contents),
            "generation": found.generation,
            "reused": decision.reuse,
            "installed": found.installed or state == cluster.UP,
        }
    )


def _guard(document: dict[str, Any]) -> tuple[guard.Decision, str]:
    """What to do about the set on this host; notes it when its cluster is up."""
    found = guard.known()
    hours, now = float(document["renewAfterHours"]), time.time()
    trusted = (found.authority or None) if found else None
    state = cluster.ask(document["api"], trusted, limit=limits.GUARD_REQUEST.seconds)
    decision = guard.decide(found, document.get("cluster", ""), inputs(document), state, hours, now)
    if found and not decision.reuse:
        state = cluster.ask(document["api"], trusted, limit=limits.GUARD_REQUEST.seconds, tries=API_TRIES)
        decision = guard.decide(found, document.get("cluster", ""), inputs(document), state, hours, now)
    if found and state == cluster.UP and not found.installed and not found.damage:
        guard.note_installed()
    return decision, state


def _make(document: dict[str, Any], stages: report.Stages) -> None:
    """Make a set in a directory of its own and put it in the place of the one before."""
    with stages("clock"):
        stages.detail = clock.check(document["installConfig"].get("additionalTrustBundle", ""), stages)
    with installer.workplace() as place:
        with stages("install-config"):
            text = installer.install_config(document["installConfig"], installer.pull_secret(document["pullSecret"]))
            own = {name: installer.secret(row) for name, row in document["secretManifests"].items()}
            files.write_now(os.path.join(place, "install-config.yaml"), text.encode(), mode=0o600)
            stages.detail = f"for {document['release']}, {len(own) + 1} secrets"
        with stages("manifests"):
            installer.create(document["tools"], "manifests", stages)
            ours = {**document["manifests"], **own}
            replaced = manifest_files.add(place, ours, document.get("objects"))
            stages.detail = f"{len(ours)} of ours added" + (f", replacing {', '.join(replaced)}" if replaced else "")
        with stages("ignition"):
            installer.create(document["tools"], "ignition-configs", stages)
            contents = _contents(place)
            stages.detail = ", ".join(f"{name} {len(content) / 1024:.0f} KiB" for name, content in contents.items())
        with stages("check"):
            validity = _checked(contents, document["release"])
            stages.detail = f"one set, good until {certificates.moment(validity.expiry)}"
        with stages("record"):
            record = guard.record(document["generation"], document.get("cluster", ""), inputs(document), contents)
            # The installer consumed its own.
            installer.tidy({INPUTS: record, "install-config.yaml": text.encode()})
            swap(NEW, INSTALL)
            with suppress(FileNotFoundError):
                shutil.rmtree(BEFORE)
            with suppress(FileNotFoundError):
                os.rename(NEW, BEFORE)
            stages.detail = f"{INSTALL}, set {document['generation']}"


def _contents(place: str) -> dict[str, bytes]:
    contents = {}
    for name in CONFIGS:
        with open(os.path.join(place, name), "rb") as file:
            contents[name] = file.read()
    return contents


def _checked(contents: dict[str, bytes], release: str) -> certificates.Validity:
    problems = configs.problems(contents, release)
    validity = certificates.Validity(0, 0)
    if not problems:
        try:
            validity = configs.validity(contents["bootstrap.ign"])
        except ValueError as error:
            problems.append(f"bootstrap.ign: {error}")
    if problems:
        raise report.Failed(
            "what openshift-install made cannot be used",
            message="\n".join(problems),
            in_service="what was published before",
            remedy="see that openshift-install is the release's own (openshift-install version; okd-host tools)",
        )
    return validity
