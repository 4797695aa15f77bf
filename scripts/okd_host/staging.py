"""The staged bundle: what differs from the host, and the daemons' parsers run over it.

Owns the comparison and a private mount namespace in which every staged file is at its final path and every file to be
removed is gone, while the host's own files stay untouched. Does not own the swap.

The namespace holds one overlay per directory concerned, its upper side on the stage's tmpfs. Where the kernel has no
overlay file system, a copy of the directory is mounted in its place, up to COPY_LIMIT bytes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

from okd_host import commands, files, limits, report
from okd_host.bundle import Bundle, Check, File

COPY_LIMIT = 32 * 1024 * 1024


class Change(NamedTuple):
    """One path that will change; `file` is None when it is removed. `path` has no symbolic link above it."""

    path: str
    what: str
    file: File | None = None


def _difference(path: str, file: File) -> str:
    """How `path` differs from what it shall be; empty when it does not."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "new"
    if stat.S_ISDIR(found.st_mode):
        raise report.Failed(
            f"{path} is a directory", file=path, remedy="move the directory away, then run the update again"
        )
    if not stat.S_ISREG(found.st_mode):
        return "replaces a symbolic link" if stat.S_ISLNK(found.st_mode) else "replaces a special file"
    if found.st_size != len(file.content):
        return "content"
    with open(path, "rb") as current:
        if current.read() != file.content:
            return "content"
    if (found.st_uid, found.st_gid) != (file.uid, file.gid):
        return "owner"
    return "mode" if stat.S_IMODE(found.st_mode) != file.mode else ""


def real(path: str) -> str:
    """`path` with the symbolic links of its directories resolved; a link at its end is kept."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def changes(bundle: Bundle) -> list[Change]:
    """What differs from the host, in the bundle's order, then what leaves the owned directories."""
    found = [Change(real(file.path), _difference(real(file.path), file), file) for file in bundle.files]
    wanted = {change.path for change in found}
    for directory in bundle.owns:
        with suppress(FileNotFoundError), os.scandir(directory) as entries:
            # Directories below an owned one belong to somebody else, such as the downloaded boot files.
            strangers = sorted(real(entry.path) for entry in entries if not entry.is_dir(follow_symlinks=False))
            found += [Change(path, "removed") for path in strangers if path not in wanted]
    return [change for change in found if change.what]


def _roots(paths: list[str]) -> list[str]:
    """The nearest existing directories above `paths`, none of them below another."""
    nearest = set()
    for path in paths:
        directory = os.path.dirname(path)
        while not os.path.isdir(directory):
            directory = os.path.dirname(directory)
        if directory == "/":
            # Nothing can be mounted over /: an empty top directory is made to hold the overlay.
            directory = "/" + path.split("/")[1]
            os.mkdir(directory)
        nearest.add(directory)
    return [root for root in sorted(nearest) if not any(root.startswith(f"{other}/") for other in nearest)]


def _directory(upper: str, root: str, relative: str) -> str:
    """Make `relative` below `upper`; a merged directory shows the upper one's owner and mode, so they are copied."""
    for depth in range(len(relative.split("/")) + 1):
        part = "/".join(relative.split("/")[:depth])
        made, origin = os.path.join(upper, part), os.path.join(root, part)
        if not os.path.isdir(made):
            os.mkdir(made, 0o755)
        with suppress(FileNotFoundError):
            found = os.stat(origin)
            os.chown(made, found.st_uid, found.st_gid)
            os.chmod(made, stat.S_IMODE(found.st_mode))
    return os.path.join(upper, relative)


def _fill(upper: str, root: str, changed: Sequence[Change], whiteouts: bool) -> None:
    """Put the changes below `root` into `upper`; a removal is a whiteout for an overlay, an unlink in a copy."""
    for change in changed:
        if not change.path.startswith(f"{root}/"):
            continue
        relative = os.path.dirname(change.path)[len(root) + 1 :]
        directory = _directory(upper, root, relative) if relative else upper
        target = os.path.join(directory, os.path.basename(change.path))
        with suppress(FileNotFoundError):
            os.unlink(target)
        if change.file:
            files.write(target, change.file.content, mode=change.file.mode, uid=change.file.uid, gid=change.file.gid)
            files.publish(target)
        elif whiteouts:
            os.mknod(target, stat.S_IFCHR, 0)


def _overlays(stage: str, roots: list[str], changed: Sequence[Change]) -> list[list[str]]:
    mounts = []
    for number, root in enumerate(roots):
        upper, work = (f"{stage}/{number}/{kind}" for kind in ("upper", "work"))
        os.makedirs(work)
        os.mkdir(upper)
        _directory(upper, root, "")
        _fill(upper, root, changed, whiteouts=True)
        options = f"lowerdir={root},upperdir={upper},workdir={work}"
        mounts.append(["mount", "-t", "overlay", "okd-stage", "-o", options, root])
    return mounts


def _copies(stage: str, roots: list[str], changed: Sequence[Change]) -> list[list[str]]:
    mounts = []
    for number, root in enumerate(roots):
        copy = f"{stage}/{number}/copy"
        size = sum(os.lstat(os.path.join(top, name)).st_size for top, _, names in os.walk(root) for name in names)
        if size > COPY_LIMIT:
            raise report.Failed(
                f"the staged files cannot be checked: no overlay file system, and {root} is too large to copy "
                f"({size >> 20} MiB, limit {COPY_LIMIT >> 20} MiB)",
                remedy="load the kernel's overlay module on the services host (modprobe overlay), then run again",
            )
        shutil.copytree(root, copy, symlinks=True)
        for top, directories, names in os.walk(root):
            for name in [".", *directories, *names]:
                origin = os.path.normpath(os.path.join(top, name))
                found = os.lstat(origin)
                os.chown(copy + origin[len(root) :], found.st_uid, found.st_gid, follow_symlinks=False)
        _fill(copy, root, changed, whiteouts=False)
        mounts.append(["mount", "--bind", copy, root])
    return mounts


def _hold(mounts: list[list[str]]) -> subprocess.Popen[bytes]:
    """A process in a mount namespace of its own with `mounts` made; it ends when its stdin is closed."""
    script = " && ".join([*(shlex.join(mount) for mount in mounts), "echo ready", "exec cat"])
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@contextmanager
def staged(bundle: Bundle, changed: Sequence[Change]) -> Iterator[list[str]]:
    """Yield the argv prefix that runs a command where the staged files are at their final paths."""
    stage = os.path.join(files.STAGE, bundle.service)
    shutil.rmtree(stage, ignore_errors=True)
    files.private_directory(stage)
    said = []
    try:
        roots = _roots([change.path for change in changed])
        for prepare in (_overlays, _copies):
            mounts = prepare(stage, roots, changed)
            with _hold(mounts) as holder:
                assert holder.stdout is not None
                line = holder.stdout.readline().decode(errors="replace").strip()
                if line == "ready":
                    yield ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--wd=/", "--"]
                    return
                said.append(line or "no answer")
        raise report.Failed(
            "the staged files cannot be checked: neither an overlay nor a copy can be mounted",
            message="\n".join(said),
            remedy="run as root on a host whose kernel allows mount namespaces",
        )
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _refused(check: Check, result: commands.Result, changed: Sequence[Change]) -> report.Failed:
    named = [change.path for change in changed if change.path in result.output]
    given = [change.path for change in changed if change.path in check.argv]
    return report.Failed(
        f"{check.name} refused the new files of the service (exit {result.code})",
        check=f"{check.name}: {shlex.join(check.argv)}",
        file=", ".join(named or given or [change.path for change in changed]),
        message=result.output or "(it printed nothing)",
        remedy="correct the settings or the template that this file comes from, then run the update again",
    )


def check(bundle: Bundle, changed: Sequence[Change], stages: report.Stages) -> None:
    """Run every check of the bundle over the staged files. Raises Failed with the parser's message.

    No more bundles are checked at a time than there are processors: all of them would only take longer.
    """
    with files.turn("check", os.cpu_count() or 1, stages.waiting), staged(bundle, changed) as prefix:
        for each in bundle.checks:
            result = commands.run(
                [*prefix, *each.argv], limit=limits.PROGRAM.seconds, heartbeat=partial(stages.waiting, each.name)
            )
            if result.code:
                raise _refused(each, result, changed)
