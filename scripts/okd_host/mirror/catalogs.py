"""Operator catalogs: what oc-mirror says that a cluster needs to find those that it has mirrored.

Owns its files, and proof that they speak of every catalog that was asked for and that the mirror serves these. Does not
own which of the objects in them belong into a cluster: the program decides that.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress

from okd_host import report
from okd_host.mirror import payload, places
from okd_host.mirror.job import Job
from okd_host.mirror.registry import Refused

# Below the workspace that oc-mirror is given, by its documentation.
FOLDER = ("oc-mirror", "working-dir", "cluster-resources")
IMAGE = re.compile(r"^\s*image:\s*[\"']?(\S+?)[\"']?\s*$", re.MULTILINE)


def wanted(job: Job) -> list[str]:
    """The catalogs that the image set asks for, by their pull specs."""
    rows = ((job.document.get("imageSet") or {}).get("mirror") or {}).get("operators") or []
    return [str(row["catalog"]) for row in rows]


def forget() -> None:
    """Remove what an earlier run has said: a catalog that left the image set would stay in it."""
    with suppress(FileNotFoundError):
        shutil.rmtree(places.path(*FOLDER))


def texts() -> dict[str, str]:
    """The files with the objects, by their names."""
    found, folder = {}, places.path(*FOLDER)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith((".yaml", ".yml")):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found[name] = file.read()
    return found


def found(job: Job) -> dict[str, str]:
    """The files of a complete mirror. Raises Failed when a catalog is in none of them, or not in the mirror."""
    if not wanted(job):
        return {}
    known = texts()
    images = [image for text in known.values() if "CatalogSource" in text for image in IMAGE.findall(text)]
    # It keeps a catalog's path, and chooses the tag of one that it has cut down to some packages.
    served = {payload.split(image)[0]: image for image in images}
    for catalog in wanted(job):
        repository = payload.split(catalog)[0].partition("/")[2]
        image = served.get(f"{job.host}/{repository}")
        if image is None:
            where = places.path(*FOLDER)
            raise _missing(catalog, f"no CatalogSource in {where} has an image of {job.host}/{repository}")
        _, tag, digest = payload.split(image)
        try:
            job.mirror.get("manifests", repository, digest or tag)
        except Refused as error:
            raise _missing(catalog, f"{image}: {error}") from error
    return known


def _missing(catalog: str, message: str) -> report.Failed:
    return report.Failed(
        f"the operator catalog {catalog} is not in the mirror",
        message=message,
        in_service="what was mirrored before",
        remedy="see what oc-mirror says above and in its logs below the working-dir; correct release.operatorCatalogs "
        "in the settings, or run the update again",
    )
