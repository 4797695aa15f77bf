"""Putting a directory in another's place in one step, and the published ignition configs.

Owns that a reader finds all three files of one set, the old one or the new, whenever the agent is killed; and owner,
mode and SELinux type of what the HTTP server serves.
"""

from __future__ import annotations

import ctypes
import errno
import grp
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from okd_host import files, report
from okd_host.commands import run

AT_FDCWD = -100
EXCHANGE = 2


class Place(NamedTuple):
    """Where the ignition configs are served from, and who may read them there."""

    directory: str
    gid: int
    mode: int
    selinux: str

    @staticmethod
    def parse(row: Mapping[str, str | None]) -> Place:
        """The place of a document. Raises Failed when its group is not on this host."""
        try:
            gid = grp.getgrnam(str(row["group"])).gr_gid
        except KeyError:
            raise report.Failed(
                f"there is no group {row['group']} on this host",
                in_service="what was published before",
                remedy="install the HTTP server's package first (the service http), or name its group",
            ) from None
        return Place(os.path.normpath(str(row["directory"])), gid, int(str(row["mode"]), 8), str(row["selinux"] or ""))


def swap(staged: str, path: str) -> None:
    """Put directory `staged` in the place of `path`; what was there, if anything, is then at `staged`."""
    if not os.path.exists(path):
        os.rename(staged, path)
    elif not _exchanged(staged, path):
        # A file system that cannot exchange: for a moment there is none.
        aside = f"{staged}.old"
        os.rename(path, aside)
        os.rename(staged, path)
        os.rename(aside, staged)
    sync(os.path.dirname(path))


def _exchanged(one: str, other: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), one, None, other)


def sync(path: str) -> None:
    """Have a file or directory safe on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(place: Place, contents: Mapping[str, bytes]) -> str:
    """Serve `contents`, all of them and nothing else; says what had to be done."""
    # Nobody but root gets through the outer directory: what is prepared, and what was taken out, is never served.
    outer = files.temporary(place.directory)
    staged = os.path.join(outer, "set")
    with suppress(FileNotFoundError):
        shutil.rmtree(outer)
    if _is_right(place, contents):
        return "already published"
    os.makedirs(os.path.dirname(place.directory), exist_ok=True)
    os.mkdir(outer, 0o700)
    os.mkdir(staged, 0o700)
    for name, content in contents.items():
        files.write_now(os.path.join(staged, name), content, mode=place.mode, gid=place.gid)
    os.chown(staged, 0, place.gid)
    os.chmod(staged, _directory_mode(place))
    if place.selinux and os.path.exists(files.SELINUX):
        labelled = run(["chcon", "-R", "-t", place.selinux, staged])
        if labelled.code:
            raise report.Failed(
                f"the ignition configs cannot be labelled {place.selinux}",
                message=labelled.output,
                in_service="what was published before",
                remedy="look at the SELinux policy of the services host (seinfo -t)",
            )
    sync(staged)
    swap(staged, place.directory)
    shutil.rmtree(outer)
    return "published"


def _directory_mode(place: Place) -> int:
    """Who may read the files may enter their directory."""
    return 0o700 | (place.mode & 0o044) | (place.mode & 0o044) >> 2


def _is_right(place: Place, contents: Mapping[str, bytes]) -> bool:
    try:
        if sorted(os.listdir(place.directory)) != sorted(contents):
            return False
        found = os.stat(place.directory)
        if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (0, place.gid, _directory_mode(place)):
            return False
        for name, content in contents.items():
            path = os.path.join(place.directory, name)
            found = os.stat(path)
            if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (0, place.gid, place.mode):
                return False
            with open(path, "rb") as file:
                if file.read() != content:
                    return False
    except OSError:
        return False
    return True
