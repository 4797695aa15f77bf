"""The real `oc` and `openshift-install`, built from their Go modules, and a validator for what the installer makes.

Owns: how they are built, and putting a boot image's stream into the installer. Does not own: the cache (golang.py's).
The sources of the first two are not in the checkout: go.mod and go.sum pin them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import checkout
from lab.cached import cached
from lab.toolchain import golang

_HERE = Path(__file__).parent
_OC = "github.com/openshift/oc"
_OC_FLAGS = f"-X {_OC}/pkg/version.versionFromGit=v0.0.0-alpha.0.0.20250108103617-ae1bd9e4a75b"
_OC_TAGS = "containers_image_openpgp,include_gcs,include_oss"
_INSTALLER = "github.com/openshift/installer"
_INSTALLER_FLAGS = f"-X {_INSTALLER}/pkg/version.Raw=v1.4.19-ec5 -X {_INSTALLER}/pkg/version.defaultArch=amd64"
_STREAM = "coreos/scos.json"
# Zip archives know no time before it.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def oc() -> Path:
    """Return the client."""
    module = _HERE / "oc"
    return golang.build(module, f"{_OC}/cmd/oc", "oc", golang.sources_hash(module), _OC_FLAGS, tags=_OC_TAGS)


def ignition_validator() -> Path:
    """Return the program that judges ignition configs with the official library: `ignition-validate FILE...`."""
    module = _HERE / "ignition"
    return golang.build(module, ".", "ignition-validate", golang.sources_hash(module, ["."]))


def installer_base() -> Path:
    """Return the installer without its data files, which `installer` appends."""
    module = _HERE / "installer"
    return golang.build(
        module,
        f"{_INSTALLER}/cmd/openshift-install",
        "openshift-install",
        golang.sources_hash(module, ["assets"]),
        _INSTALLER_FLAGS,
        tags="scos",
        prepare=_with_our_assets,
    )


def installer(stream: Mapping[str, Any] | None = None) -> Path:
    """Return the installer with its data files; with `stream`, that one takes the place of its CoreOS stream."""
    base = installer_base()
    text = json.dumps(stream, indent=2) if stream else ""
    key = hashlib.sha256(f"{base.parent.name}\0{text}".encode()).hexdigest()[:16]

    def make(work: Path) -> None:
        data = golang.sources(_HERE / "installer", _INSTALLER) / "data" / "data"
        shutil.copyfile(base, work / "openshift-install")
        _append(work / "openshift-install", data, {_STREAM: text} if text else {})
        (work / "openshift-install").chmod(0o755)

    return cached(checkout.cache("installer", key), "installer with its data files", make) / "openshift-install"


def _append(program: Path, data: Path, replaced: Mapping[str, str]) -> None:
    """Append the data files to the program as a zip archive: its directory is found from the file's end."""
    with zipfile.ZipFile(program, "a", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in data.rglob("*") if path.is_file()):
            name = path.relative_to(data).as_posix()
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, replaced.get(name, path.read_bytes()))


def _with_our_assets(directory: Path) -> None:
    """Lay a copy of the installer's sources beside go.mod, with the package that finds the data files replaced.

    A copy, because Go refuses to overlay files of its module cache; without modes, because those are read-only.
    """
    origin, copy = golang.sources(_HERE / "installer", _INSTALLER), directory / "source"
    for folder, folders, files in os.walk(origin):
        if Path(folder) == origin:
            folders[:] = [name for name in folders if name not in ("docs", "vendor")]
        target = copy / Path(folder).relative_to(origin)
        target.mkdir()
        for name in files:
            shutil.copyfile(Path(folder) / name, target / name)
    shutil.copyfile(_HERE / "installer" / "assets" / "assets.go", copy / "data" / "assets.go")
    with (directory / "go.mod").open("a") as requirements:
        requirements.write(f"\nreplace {_INSTALLER} => ./source\n")
