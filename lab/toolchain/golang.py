"""Builds programs from the Go modules pinned below this directory, and keeps them in the cache.

Owns: how Go is called and where the results are kept. The cache's key is the hash of all inputs: module files, sources,
Go's version and the machine's architecture. A result appears in the cache whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab import pace
from lab.cached import cached
from lab.checkout import LOGS, cache
from lab.progress import StepFailed, run, say
from lab.toolchain.versions import at_least

INSTALLED = Path("/usr/local/go/bin")


def sources_hash(module: Path, sources: Iterable[str] = ()) -> str:
    """Return the hash of a module's go.mod, go.sum and the Go files below `sources`."""
    files = [module / "go.mod", module / "go.sum"]
    for source in sources:
        files += [path for path in (module / source).rglob("*") if path.suffix == ".go" or path.name == "go.mod"]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(module)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(
    module: Path,
    package: str,
    binary: str,
    key: str,
    flags: str = "",
    *,
    tags: str = "",
    prepare: Callable[[Path], None] | None = None,
) -> Path:
    """Return the executable `binary` made from `package` of the module, from the cache if it is there.

    `key` is the sources' hash; `flags` go to the linker. `prepare` is called when something has to be built, to change
    a copy of go.mod and go.sum in the directory that it is given and to put sources beside them. Raises StepFailed.
    """
    environment = _environment(module, binary)
    version = _go_version(module, binary, environment)
    inputs = "\0".join([key, version, package, flags, os.uname().machine, *([tags] if tags else [])])
    place = cache("toolchain", hashlib.sha256(inputs.encode()).hexdigest()[:32])
    if (place / binary).exists():
        return place / binary

    def make(work: Path) -> None:
        with _prepared(module, prepare) as directory:
            argv = ["go", "build", "-ldflags", f"-s -w {flags}".strip(), "-o", str(work / binary)]
            _build([*argv, *_tagged(tags), package], directory, binary, version, environment, _tagged(tags))

    cached(place, f"program {binary}", make, announce=False)
    return place / binary


def _build(
    argv: list[str], directory: Path, binary: str, version: str, environment: Mapping[str, str], tagged: list[str]
) -> None:
    log = LOGS / f"build-{binary}.log"
    run(
        [
            "go",
            "list",
            *tagged,
            "-deps",
            argv[-1],
        ],  # fetches what this build needs; `go mod download` takes twice as long
        step=f"downloading the Go modules of {binary}",
        log=log,
        cwd=directory,
        env=environment,
        remedy=f"allow Go to reach its module proxy (GOPROXY is {environment['GOPROXY']})",
    )
    began = time.monotonic()
    run(
        argv,
        step=f"building {binary} with {version}",
        expected=pace.expected(binary),
        log=log,
        cwd=directory,
        env=environment,
        append=True,
        remedy="see the log; the modules are pinned, so a clean Go installation builds them",
    )
    if told := pace.took(binary, time.monotonic() - began):
        say(told)


def sources(module: Path, path: str) -> Path:
    """Return where the sources of a module that `module` requires lie, fetched and verified if need be."""
    environment = _environment(module, path)
    found = re.search(rf"^\s*(?:require )?{re.escape(path)} (\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise StepFailed(f"{module / 'go.mod'} does not require {path}", remedy=f"go get {path}@VERSION")
    told = run(
        ["go", "mod", "download", "-json", f"{path}@{found.group(1)}"],
        log=LOGS / f"sources-{path.rpartition('/')[2]}.log",
        cwd=module,
        env=environment,
        remedy=f"allow Go to reach its module proxy (GOPROXY is {environment['GOPROXY']})",
    )
    answer, _ = json.JSONDecoder().raw_decode(told, told.index("{"))
    return Path(answer["Dir"])


@contextmanager
def _prepared(module: Path, prepare: Callable[[Path], None] | None) -> Iterator[Path]:
    """The module's directory; when it has to be prepared, a copy (results do not depend on its path: -trimpath)."""
    if prepare is None:
        yield module
        return
    with tempfile.TemporaryDirectory(prefix=f"{module.name}-") as directory:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(module / name, Path(directory) / name)
        prepare(Path(directory))
        yield Path(directory)


def _tagged(tags: str) -> list[str]:
    return ["-tags", tags] if tags else []


def _go_proxy(environment: Mapping[str, str]) -> str:
    argv = ["go", "env", "GOPROXY"]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False).stdout.strip()


def _without_direct(proxy: str) -> str:
    """Without "direct", which clones from hosts that a closed network does not reach, and hangs there."""
    return re.sub(r"[,|]direct\b", "", proxy)


def _environment(module: Path, binary: str) -> dict[str, str]:
    # Go's own installation instructions put it where sudo's PATH does not reach.
    given = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{INSTALLED}"}
    if not shutil.which("go", path=given["PATH"]):
        raise _no_go(module, binary, "Go is not installed")
    proxy = _without_direct(_go_proxy(given))
    if proxy in ("", "direct"):
        unset = {name: value for name, value in given.items() if name != "GOPROXY"}
        proxy = _without_direct(_go_proxy(unset | {"GOENV": "off"}))
    return {
        **given,
        "GOPROXY": proxy,
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "CGO_ENABLED": "0",
        "GOWORK": "off",
    }


def _go_version(module: Path, binary: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=module, env=environment, capture_output=True, text=True, check=False
    )
    version = done.stdout.strip()
    if done.returncode != 0 or not at_least(version.removeprefix("go"), _wanted(module)):
        raise _no_go(module, binary, f"Go is too old ({version or done.stderr.strip()})")
    return version


def _wanted(module: Path) -> str:
    found = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    return found.group(1) if found else "1.25"


def _no_go(module: Path, binary: str, what: str) -> StepFailed:
    return StepFailed(
        f"{what}, and it is needed to build {binary}",
        remedy=f"install Go {_wanted(module)} or newer (https://go.dev/dl, or golang from Debian's backports) and put "
        "it on PATH; Pulumi and its plugins are not built where they are installed or github.com can be reached",
    )
