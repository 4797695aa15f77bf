"""boot-image: the live boot image that fits the release, downloaded and verified by SHA-256.

Document: {"installer": path of openshift-install, "architecture", "version", "release", "root": "/var/www/okd",
"files": null or [{"url", "sha256", "path"}]}, and optional "trust" and "pullSecret" as of `fetch`. Where "files" is
null, the installer's stream metadata say which files these are: addresses are never composed. The files become
images/kernel, images/initramfs and images/rootfs below root.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from okd_host import fetch, limits, report
from okd_host.commands import run

PARTS = ("kernel", "initramfs", "rootfs")
KEYS = {"installer", "architecture", "version", "release", "root", "files"}
# From 4.17 on, OKD is built for CentOS Stream CoreOS: older installers still name Fedora's, which cannot pivot to it.
STREAM_COREOS = (4, 17)
FEDORA = re.compile(r"fedora", re.IGNORECASE)
OVERRIDE = "give the boot image of CentOS Stream CoreOS in the setting bootImage (kernel, initramfs and rootfs)"
KEPT = "the boot image from before, if any"


def main(arguments: list[str], document: Any) -> None:
    """Have the boot image under the HTTP root."""
    missing = sorted(KEYS - set(document)) if isinstance(document, dict) else sorted(KEYS)
    if missing:
        raise report.Failed(f"the document lacks {', '.join(missing)}", remedy="see okd-host boot-image --help")
    rows, stream = document["files"], None
    paths = [row["path"] for row in rows] if rows else [f"images/{part}" for part in PARTS]
    stages = report.Stages(["stream", *paths])
    with stages("stream"):
        if rows:
            stages.detail = "named in the settings"
        else:
            known = _stream(document["installer"], stages)
            stream = str(known.get("stream", ""))
            rows = _rows(_artifacts(known, document["architecture"]))
            stages.detail = f"{stream}, {rows[0]['url'].rpartition('/')[2]}"
        _check(rows, document["version"])
    digests = fetch.fetch(document["root"], rows, stages, fetch.opener(document))
    named = {path.rpartition("/")[2]: digest for path, digest in digests.items()}
    report.result({**named, "stream": stream})


def _rows(artifacts: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    return [
        {"url": row["location"], "sha256": row["sha256"], "path": f"images/{part}"} for part, row in artifacts.items()
    ]


def _stream(installer: str, stages: report.Stages) -> dict[str, Any]:
    done = run(
        [installer, "coreos", "print-stream-json"],
        limit=limits.INSTALLER.seconds,
        heartbeat=lambda: stages.waiting(installer),
    )
    try:
        if done.code:
            raise ValueError(f"exit code {done.code}")
        found = _document(done.output)
    except ValueError as error:
        raise report.Failed(
            "openshift-install does not say which boot image fits the release",
            check=f"{installer} coreos print-stream-json",
            message=f"{report.tail(done.output)}\n{error}",
            in_service=KEPT,
            remedy="see that it is the release's own installer (okd-host tools), or give the files in the setting "
            "bootImage",
        ) from error
    return found


def _document(output: str) -> dict[str, Any]:
    """The JSON object in what the installer printed; other lines, with braces too, may stand before it."""
    error = ValueError("it printed no stream metadata")
    for begin in re.finditer(r"^\{", output, re.MULTILINE):
        try:
            found = json.JSONDecoder().raw_decode(output, begin.start())[0]
        except ValueError as wrong:
            error = wrong
            continue
        if isinstance(found, dict) and "architectures" in found:
            return found
    raise error


def _artifacts(stream: Mapping[str, Any], architecture: str) -> dict[str, dict[str, str]]:
    """Kernel, initramfs and rootfs of the stream for network boot. Raises Failed when they are not all there."""
    known = stream.get("architectures", {})
    try:
        found = known[architecture]["artifacts"]["metal"]["formats"]["pxe"]
        complete = all(
            found[part]["location"] and re.fullmatch("[0-9a-f]{64}", found[part]["sha256"]) for part in PARTS
        )
    except (KeyError, TypeError):
        complete = False
    if not complete:
        there = ", ".join(name for name, row in known.items() if "pxe" in str(row.get("artifacts", {}).get("metal")))
        raise report.Failed(
            f"the release's stream {stream.get('stream')!r} has no boot image of {architecture} for network boot",
            message=f"architectures with one: {there or 'none'}",
            in_service=KEPT,
            remedy="correct the setting release.architecture, or give the files in the setting bootImage",
        )
    return {part: found[part] for part in PARTS}


def _check(rows: Sequence[Mapping[str, Any]], version: str) -> None:
    """Raise Failed for Fedora's image with a release of CentOS Stream CoreOS."""
    number = re.match(r"(\d+)\.(\d+)", version)
    fedora = [row["url"] for row in rows if FEDORA.search(row["url"])]
    if fedora and number and (int(number[1]), int(number[2])) >= STREAM_COREOS:
        raise report.Failed(
            f"this boot image is Fedora CoreOS, which release {version} cannot be installed from",
            message="\n".join(fedora),
            in_service=KEPT,
            remedy=OVERRIDE,
        )
