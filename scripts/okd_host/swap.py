"""The swap: new files into service by rename, and the old ones back when something fails.

Owns the journal under /var/lib/okd-libvirt/journal/<service>, written before the first rename and removed after the
service proved healthy: whoever finds one knows that a run was interrupted, and what was before. It survives a reboot.
Does not own daemons.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from okd_host import files, report
from okd_host.staging import Change


def _place(service: str) -> str:
    return os.path.join(files.JOURNAL, service)


def pending(service: str) -> dict[str, Any] | None:
    """The journal that a run left, or None."""
    with suppress(FileNotFoundError), open(os.path.join(_place(service), "journal.json")) as file:
        journal: dict[str, Any] = json.load(file)
        return journal
    # Copies without a journal: the run ended before it touched anything in service.
    shutil.rmtree(_place(service), ignore_errors=True)
    return None


def _copy(origin: str, target: str) -> None:
    found = os.lstat(origin)
    with open(origin, "rb") as file:
        content = file.read()
    files.write(target, content, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)
    os.utime(files.temporary(target), ns=(found.st_atime_ns, found.st_mtime_ns))
    files.publish(target)


def _entry(path: str, backup: str) -> dict[str, str]:
    """What is at `path` now, its content copied to `backup`."""
    if os.path.islink(path):
        return {"path": path, "kind": "symlink", "target": os.readlink(path)}
    if not os.path.lexists(path):
        return {"path": path, "kind": "absent"}
    if not os.path.isfile(path):
        raise report.Failed(
            f"{path} is neither a file nor a symbolic link", file=path, remedy="move it away, then run the update again"
        )
    _copy(path, backup)
    return {"path": path, "kind": "file", "backup": backup}


def _missing_directories(paths: Sequence[str]) -> list[str]:
    missing: list[str] = []
    for path in paths:
        directory = os.path.dirname(path)
        while not os.path.isdir(directory) and directory not in missing:
            missing.append(directory)
            directory = os.path.dirname(directory)
    return sorted(missing)


def swap(service: str, changed: Sequence[Change], context: dict[str, Any]) -> None:
    """Put `changed` in service; `context` is kept in the journal for whoever has to take it back."""
    place = files.private_directory(_place(service))
    paths = [change.path for change in changed]
    journal = {
        "service": service,
        "entries": [_entry(path, os.path.join(place, str(number))) for number, path in enumerate(paths)],
        "directories": _missing_directories(paths),
        **context,
    }
    files.write_now(os.path.join(place, "journal.json"), json.dumps(journal).encode(), mode=0o600)
    for directory in journal["directories"]:
        os.mkdir(directory, 0o755)
    for change in changed:
        if change.file:
            files.write(
                change.path, change.file.content, mode=change.file.mode, uid=change.file.uid, gid=change.file.gid
            )
    for change in changed:
        if change.file:
            files.publish(change.path)
        else:
            os.unlink(change.path)
    files.label([*journal["directories"], *(change.path for change in changed if change.file)])


def restore(journal: dict[str, Any]) -> None:
    """Put the files of `journal` back as they were; may be repeated, and keeps the journal."""
    for entry in journal["entries"]:
        path = entry["path"]
        with suppress(FileNotFoundError):
            os.unlink(files.temporary(path))
        if entry["kind"] == "file":
            _copy(entry["backup"], path)
        elif entry["kind"] == "symlink":
            os.symlink(entry["target"], files.temporary(path))
            files.publish(path)
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)
    for directory in reversed(journal["directories"]):
        with suppress(OSError):
            os.rmdir(directory)
    files.label([entry["path"] for entry in journal["entries"] if entry["kind"] == "file"])


def commit(service: str) -> None:
    """Forget what was before; the journal goes first, or half of it would look like an interrupted run."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(_place(service), "journal.json"))
    shutil.rmtree(_place(service), ignore_errors=True)
