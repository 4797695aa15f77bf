"""What this machine tells about itself: programs read its files only, nothing is run.

Owns looking at its network interfaces, routes, memory and the pool's directory. Does not own what they mean.
"""

from __future__ import annotations

import os
from pathlib import Path

from cluster.preflight import answers
from cluster.preflight.facts import Directory, Here, Link


def look(pool_path: str, *, as_root: bool, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Here:
    """This machine as a libvirt host; `as_root` when its libvirtd may write where this user may not."""
    routes, trie = _text(proc / "net/route"), _text(proc / "net/fib_trie")
    return Here(
        links=_links(sys / "class/net"),
        routes=answers.routes(routes) if routes is not None else None,
        addresses=answers.addresses(trie) if trie is not None else None,
        directory=_directory(Path(pool_path), as_root=as_root),
    )


def memory_mib() -> int | None:
    """Memory that can be used."""
    text = _text(Path("/proc/meminfo"))
    return answers.meminfo_available_mib(text) if text is not None else None


def _links(directory: Path) -> tuple[Link, ...] | None:
    try:
        return tuple(
            Link(one.name, bridge=(one / "bridge").is_dir(), mtu=int(_text(one / "mtu") or 0))
            for one in sorted(directory.iterdir())
            if one.is_dir()
        )
    except OSError:
        return None


def _directory(path: Path, *, as_root: bool) -> Directory | None:
    try:
        nearest = next(one for one in (path, *path.parents) if os.path.lexists(one))
        room = os.statvfs(nearest)
    except OSError:
        return None
    writable = not room.f_flag & os.ST_RDONLY and (as_root or os.access(nearest, os.W_OK))
    return Directory(
        nearest=str(nearest),
        is_directory=nearest.is_dir(),
        writable=writable,
        free=room.f_bavail * room.f_frsize,
        files=_files(path) if nearest == path else frozenset(),
    )


def _files(path: Path) -> frozenset[str] | None:
    try:
        return frozenset(os.listdir(path))
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
