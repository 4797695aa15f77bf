"""The provider plugins, in a PULUMI_HOME of this checkout, so that nobody's own Pulumi is touched.

Owns: `.lab/pulumi-home/plugins`, at the versions that the Python SDKs ask for.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from lab.checkout import LAB, LOGS, cache
from lab.progress import run, say
from lab.toolchain import download, engine, golang
from lab.toolchain.versions import PLUGINS, Plugin

HOME = LAB / "pulumi-home"
MODULE = Path(__file__).parent / "plugins"
_STAMPS = HOME / "sources.json"


def up() -> None:
    """Install the plugins that are missing, or whose sources changed. Raises StepFailed."""
    HOME.mkdir(parents=True, exist_ok=True)
    for plugin in PLUGINS:
        built = _built(plugin)
        if not _directory(HOME, plugin).is_dir() or _stamps().get(plugin.name) not in (built, "official", "own"):
            _install(plugin, built)


def _install(plugin: Plugin, built: str) -> None:
    own = _directory(Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"), plugin) / plugin.binary
    if own.exists() and HOME not in own.parents:
        binary, source = own, "own"
    elif official := _downloaded(plugin):
        binary, source = official, "official"
    else:
        binary = golang.build(MODULE, f"./cmd/{plugin.binary}", plugin.binary, built)
        source = built
    environment = {**os.environ, "PULUMI_HOME": str(HOME), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    run(
        [engine.CLI, "plugin", "install", "resource", plugin.name, plugin.version, "--reinstall", "--file", binary],
        log=LOGS / f"plugin-{plugin.name}.log",
        env=environment,
        remedy="run `make toolchain`, which sets up Pulumi first",
    )
    _STAMPS.write_text(json.dumps({**_stamps(), plugin.name: source}, indent=1))
    kind = {"own": "from this user's Pulumi", "official": "the official build"}.get(source, "built from Go modules")
    say(f"plugin {plugin.name} {plugin.version} is ready ({kind})")


def status() -> list[tuple[str, str]]:
    """Say of each plugin whether it is there and where it came from."""
    return [
        (
            plugin.name,
            f"{plugin.version} ({_stamps().get(plugin.name, 'unknown')[:12]})"
            if _directory(HOME, plugin).is_dir()
            else "missing",
        )
        for plugin in PLUGINS
    ]


def _directory(home: Path, plugin: Plugin) -> Path:
    return home / "plugins" / f"resource-{plugin.name}-v{plugin.version}"


def _built(plugin: Plugin) -> str:
    return golang.sources_hash(MODULE, plugin.sources)


def _stamps() -> dict[str, str]:
    stamps: dict[str, str] = json.loads(_STAMPS.read_text()) if _STAMPS.exists() else {}
    return stamps


def _downloaded(plugin: Plugin) -> Path | None:
    arch = download.machine({"x86_64": "amd64", "aarch64": "arm64"})
    place = cache("toolchain", f"{plugin.binary}-{plugin.version}-{arch}")
    if (place / plugin.binary).exists():
        return place / plugin.binary
    releases = f"https://github.com/pulumi/pulumi-{plugin.name}/releases/download/v{plugin.version}"
    archive = f"{plugin.binary}-v{plugin.version}-linux-{arch}.tar.gz"
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        checksums = f"{releases}/pulumi-{plugin.name}_{plugin.version}_checksums.txt"
        if not download.fetch_archive(f"{releases}/{archive}", checksums, fresh):
            return None
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place / plugin.binary
