"""tools: `oc` and `openshift-install` of the release itself, extracted from the mirror.

Document: {"release": "REGISTRY/REPOSITORY@sha256:...", "version", "registryCa", "pullSecret": {"secret", "sha256"}}.
They go to a directory of their own, are asked for their version and release, and then take their names in
/usr/local/bin by symbolic links. What is there and right is left alone. `mirror` must have succeeded before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from okd_host import files, report
from okd_host.mirror import client, places, trouble
from okd_host.mirror.client import Ended, Oc
from okd_host.mirror.payload import split

BIN = "/usr/local/bin"
LINKS = {"oc": "oc", "kubectl": "oc", "openshift-install": "openshift-install"}
PROGRAMS = ("oc", "openshift-install")
ASK = {"oc": ("version", "--client"), "openshift-install": ("version",)}
MARK = "extracted.json"


def _marks(directory: str) -> dict[str, list[int]]:
    """Size, time and inode of each program that is there."""
    found = {}
    for name in PROGRAMS:
        path = os.path.join(directory, name)
        if os.path.exists(path):
            status = os.stat(path)
            found[name] = [status.st_size, status.st_mtime_ns, status.st_ino]
    return found


def _sources(release: str) -> list[dict[str, Any]]:
    """Where the images that the release names are found: the rows of an ImageDigestMirrorSet."""
    record = places.recall(places.path("mirror.json"))
    repository, _, digest = split(release)
    if record.get("digest") != digest:
        raise report.Failed(
            f"{release} is not what was mirrored last",
            file=places.path("mirror.json"),
            message=f"mirrored: {record.get('digest', 'nothing')}",
            remedy="run the update: it mirrors the release first",
        )
    content = f"{repository.partition('/')[0]}/{record['contentRepository']}"
    return [
        {"source": source, "mirrors": [content], "mirrorSourcePolicy": "NeverContactSource"}
        for source in sorted({row["source"] for row in record["images"]})
    ]


def _side_by_side(commands: Sequence[Sequence[str]], oc: Oc, stages: report.Stages, what: str) -> list[Ended]:
    """Run programs that each take seconds to start."""

    def run(argv: Sequence[str]) -> Ended:
        return client.run(argv, oc.environment(), lambda: stages.waiting(what))

    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(run, commands))


def _extract(oc: Oc, release: str, directory: str, stages: report.Stages) -> None:
    rows = places.path("mirrors.json")
    places.remember(
        rows,
        {
            "apiVersion": "config.openshift.io/v1",
            "kind": "ImageDigestMirrorSet",
            "metadata": {"name": "mirror"},
            "spec": {"imageDigestMirrors": _sources(release)},
        },
    )
    argv = [oc.program, "adm", "release", "extract", f"--registry-config={oc.auth}", f"--idms-file={rows}"]
    asked = [[*argv, f"--command={name}", f"--to={directory}", release] for name in PROGRAMS]
    for name, ended in zip(PROGRAMS, _side_by_side(asked, oc, stages, "oc adm release extract")):
        if ended.code or not os.path.exists(os.path.join(directory, name)):
            host = release.partition("/")[0]
            raise trouble.failed(
                f"{name} cannot be extracted from {release}",
                client.worst(ended.output),
                host,
                in_service="the tools from before, if any",
            )
        os.chmod(os.path.join(directory, name), 0o755)


def _check(oc: Oc, release: str, version: str, directory: str, stages: report.Stages) -> None:
    """Each program says that it is the release's."""
    commands = [[os.path.join(directory, name), *ASK[name]] for name in PROGRAMS]
    for name, argv, ended in zip(PROGRAMS, commands, _side_by_side(commands, oc, stages, "the versions")):
        wanted = [version] + ([release] if name == "openshift-install" else [])
        words = ended.output.split()
        absent = [word for word in wanted if word not in words]
        if ended.code or absent:
            raise report.Failed(
                f"{name} is not the release's: it does not say {' and '.join(absent)}",
                check=" ".join(argv),
                message=ended.output,
                in_service="the tools from before, if any",
                remedy="let release.version and release.image in the settings name the same release; mirror it again",
            )


def _link(directory: str) -> list[str]:
    """Point the names in /usr/local/bin at `directory`; those that were changed."""
    changed = []
    os.makedirs(BIN, exist_ok=True)
    for name, program in LINKS.items():
        path, target = os.path.join(BIN, name), os.path.join(directory, program)
        if os.path.islink(path) and os.readlink(path) == target:
            continue
        new = files.temporary(path)
        if os.path.lexists(new):
            os.unlink(new)
        os.symlink(target, new)
        os.rename(new, path)
        changed.append(path)
    files.label(changed)
    return changed


def _ensure(document: dict[str, Any], oc: Oc, directory: str, stages: report.Stages) -> None:
    release, version = document["release"], document["version"]
    known = places.recall(os.path.join(directory, MARK))
    marks = _marks(directory)
    right = known.get("release") == release and known.get("version") == version
    with stages("extract"):
        if right and len(marks) == len(PROGRAMS) and known.get("marks") == marks:
            stages.detail = f"{directory} is already right"
            return
        new = f"{directory}.new"
        shutil.rmtree(new, ignore_errors=True)
        os.makedirs(new)
        _extract(oc, release, new, stages)
        stages.detail = f"{', '.join(PROGRAMS)} from {release}"
    with stages("check"):
        _check(oc, release, version, new, stages)
        document = {"release": release, "version": version, "marks": _marks(new)}
        places.remember(os.path.join(new, MARK), document, mode=0o644)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(new, directory)
        stages.detail = f"both say {version}"


def main(arguments: list[str], document: Any) -> None:
    """Have the tools of the release of `document`."""
    absent = sorted({"release", "version", "registryCa", "pullSecret"} - set(document))
    if absent:
        raise report.Failed(f"the document lacks {', '.join(absent)}", remedy="see `okd-host tools --help`")
    _, _, digest = split(document["release"])
    directory = places.path("tools", digest.partition(":")[2][:12])
    stages = report.Stages(["extract", "check", "link"])
    with files.lock("tools", "tools"):
        auth, text = places.secret(document["pullSecret"])
        places.credentials(text)
        oc = Oc(places.path("first", "oc"), auth, document["registryCa"], places.path("home"))
        _ensure(document, oc, directory, stages)
        with stages("link"):
            changed = _link(directory)
            parent = os.path.dirname(directory)
            for name in os.listdir(parent):
                if os.path.join(parent, name) != directory:
                    shutil.rmtree(os.path.join(parent, name))
            stages.detail = f"{', '.join(changed) or 'nothing'} changed"
    report.result({"directory": directory, "version": document["version"]})
