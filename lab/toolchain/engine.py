"""The Pulumi CLI and the language host for Python, in `.lab/bin`.

Owns: which of them is used. Does not own: the plugins (plugins.py), the engine's state and settings.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab.checkout import LAB, ROOT, cache
from lab.progress import StepFailed, say
from lab.toolchain import download, golang, venv
from lab.toolchain.versions import PULUMI, at_least

BIN = LAB / "bin"
CLI = BIN / "pulumi"
HOST = BIN / "pulumi-language-python"
MODULE = Path(__file__).parent / "pulumi"
LANGUAGE = Path(__file__).parent / "language"

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_FLAG = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI}"
_RELEASES = f"https://github.com/pulumi/pulumi/releases/download/v{PULUMI}"
_STAMP = BIN / "pulumi.source"


def up() -> None:
    """Put the CLI and its language host into `.lab/bin`. Raises StepFailed."""
    BIN.mkdir(parents=True, exist_ok=True)
    built = f"built {golang.sources_hash(MODULE)}"
    if not CLI.exists() or not HOST.exists() or not (_source() in (built, _official()) or _still_installed()):
        _install(built)
    if _source() == built:
        _write_host()


def _install(built: str) -> None:
    if installed := _installed():
        for name in ("pulumi", "pulumi-language-python"):
            _link(installed / name, BIN / name)
        _STAMP.write_text(f"installed {installed}")
    elif unpacked := _downloaded():
        for path in unpacked.iterdir():
            if path.name == "pulumi" or path.name.startswith("pulumi-language-python"):
                copy(path, BIN / path.name)
        _STAMP.write_text(_official())
    else:
        copy(golang.build(MODULE, _PACKAGE, "pulumi", golang.sources_hash(MODULE), _VERSION_FLAG), CLI)
        _STAMP.write_text(built)
    say(f"pulumi {_version(CLI)} is ready ({_source().split()[0]})")


def status() -> list[tuple[str, str]]:
    """Say which CLI and which language host are in use."""
    if not CLI.exists():
        return [("pulumi", "missing")]
    return [("pulumi", f"{_version(CLI)} ({_source()})"), ("language", str(HOST) if HOST.exists() else "missing")]


def copy(source: Path, target: Path) -> None:
    """Put an executable in place whole, also while the old one runs."""
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        os.link(source, fresh)
    except OSError:
        shutil.copy2(source, fresh)
    fresh.replace(target)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def _official() -> str:
    return f"downloaded {PULUMI}"


def _source() -> str:
    return _STAMP.read_text() if _STAMP.exists() else ""


def _still_installed() -> bool:
    """Tell whether the CLI in use is one elsewhere on the machine that is still there."""
    kind, _, place = _source().partition(" ")
    return kind == "installed" and (Path(place) / "pulumi").exists()


def _installed() -> Path | None:
    """Return the directory of a CLI on PATH (not ours) that is new enough and has its language host beside it."""
    elsewhere = [d for d in os.environ.get("PATH", "").split(os.pathsep) if d and Path(d).resolve() != BIN.resolve()]
    found = shutil.which("pulumi", path=os.pathsep.join(elsewhere))
    if not found:
        return None
    directory = Path(found).resolve().parent
    version = _version(directory / "pulumi")
    if not (directory / "pulumi-language-python").exists():
        say(f"{found} has no language host for Python beside it: not used")
    elif not at_least(version, PULUMI):
        say(f"{found} is {version or 'broken'}, wanted is {PULUMI} or newer: not used")
    else:
        return directory
    return None


def _downloaded() -> Path | None:
    arch = download.machine({"x86_64": "x64", "aarch64": "arm64"})
    place = cache("toolchain", f"pulumi-{PULUMI}-{arch}")
    name = f"pulumi-v{PULUMI}-linux-{arch}.tar.gz"
    if (place / "pulumi").exists():
        return place
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        if not download.fetch_archive(f"{_RELEASES}/{name}", f"{_RELEASES}/SHA512SUMS", fresh):
            return None
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def _version(cli: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run([cli, "version"], capture_output=True, text=True, env=environment, check=False)
    except OSError:
        return ""
    return done.stdout.strip().removeprefix("v")


def _write_host() -> None:
    """Write the start of the language host that comes with this project; a built CLI brings none."""
    text = f"""#!/bin/sh
# Made by lab/toolchain/engine.py: the language host of this checkout.
python='{venv.PYTHON}'
if [ ! -x "$python" ]; then
    echo "the virtual environment '{venv.VENV}' is missing: run 'make toolchain' in '{ROOT}'" >&2
    exit 1
fi
exec "$python" '{LANGUAGE / "host.py"}' "$@"
"""
    if "'" in str(ROOT):
        raise StepFailed(f"the checkout's path {ROOT} holds a quote", remedy="clone into another directory")
    if not HOST.exists() or HOST.read_text(errors="replace") != text:
        fresh = HOST.with_name(f".{HOST.name}.new")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(HOST)
