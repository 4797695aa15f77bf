"""worker-config: publish the ignition configs that new machines join the running cluster with.

Document: {"api": {"url", "address"}, "publish": {"directory", "group", "mode", "selinux"}}.

The cluster keeps them up to date, with the authority that its machine-config servers have now; the installer's are as
old as the cluster. They are published beside the others in one step. Before the cluster is up, those of the installer
are published; while it is silent, what was published stays.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode
from binascii import Error
from typing import Any
from urllib.parse import urlsplit

from okd_host import files, limits, report
from okd_host.ignition import CONFIGS, guard
from okd_host.ignition.publish import Place, publish
from okd_host.installation.api import Api, Refused, Silent

STAGES = ("ask", "publish")
SECRETS = "/api/v1/namespaces/openshift-machine-api/secrets"
POINTERS = {"worker.ign": "worker", "master.ign": "master"}
CLUSTER, INSTALLER = "cluster", "installer"


def main(arguments: list[str], document: Any) -> None:
    """Publish what the cluster of `document` says, where it does."""
    stages = report.Stages(STAGES)
    with files.lock("ignition", "worker-config"):
        contents = _installers()
        with stages("ask"):
            place = Place.parse(document["publish"])
            try:
                found = _clusters(Api.of(document["api"], limit=limits.API_REQUEST.seconds))
                stages.detail = f"{', '.join(found) or 'nothing'} from the cluster"
            except Silent as silent:
                found = _published(place)
                known = "as published before" if found else "as the installer made it"
                stages.detail = f"the cluster is not up ({silent}): {known}"
            contents.update(found)
        with stages("publish"):
            stages.detail = f"{publish(place, contents)} in {place.directory}"
    digest = hashlib.sha256(contents["worker.ign"]).hexdigest()
    report.result({"digest": digest, "source": CLUSTER if "worker.ign" in found else INSTALLER})


def _installers() -> dict[str, bytes]:
    """The set on this host. Raises Failed without a sound one."""
    found = guard.known()
    if not found or found.damage:
        raise report.Failed(
            f"the set of ignition configs on this host is damaged: {found.damage}"
            if found
            else "there are no ignition configs on this host",
            in_service="what was published before",
            remedy="run the update: it makes the ignition configs first (okd-host ignition)",
        )
    with guard.reading() as read:
        return {name: read(name) for name in CONFIGS}


def _clusters(api: Api) -> dict[str, bytes]:
    """The ignition configs that the cluster keeps. Raises Silent, or Failed when it keeps something else."""
    found = {}
    for name, role in POINTERS.items():
        secret = f"{role}-user-data"
        try:
            data = api.get(f"{SECRETS}/{secret}").get("data") or {}
        except Refused as refused:
            if refused.status == 404:
                continue
            raise _unfit(secret, str(refused)) from None
        try:
            found[name] = b64decode(data["userData"], validate=True)
            _check(found[name], role)
        except (KeyError, ValueError, TypeError, IndexError, Error) as error:
            raise _unfit(secret, f"{type(error).__name__}: {error}") from None
    return found


def _check(content: bytes, role: str) -> None:
    """Raises ValueError, KeyError, TypeError or IndexError for what does not lead a machine to its machine config."""
    ignition = json.loads(content)["ignition"]
    url = urlsplit(ignition["config"]["merge"][0]["source"])
    if (url.scheme, url.path) != ("https", f"/config/{role}"):
        raise ValueError(f"it points to {url.geturl()}")
    if not ignition["security"]["tls"]["certificateAuthorities"][0]["source"]:
        raise ValueError("it names no authority")


def _unfit(secret: str, message: str) -> report.Failed:
    return report.Failed(
        f"the cluster's secret {secret} is no ignition config that a machine could join with",
        message=message,
        in_service="what was published before",
        remedy=f"look at it (oc -n openshift-machine-api extract secret/{secret} --keys=userData --to=-)",
    )


def _published(place: Place) -> dict[str, bytes]:
    """What is published of an earlier answer of this cluster; nothing where it was never up."""
    found = guard.known()
    if not found or not found.installed:
        return {}
    contents = {}
    for name in POINTERS:
        try:
            with open(os.path.join(place.directory, name), "rb") as file:
                contents[name] = file.read()
        except FileNotFoundError:
            return {}
    return contents
