"""Fills a directory with the release: `assemble.py DIRECTORY REGISTRY SIGNATURES OC INSTALLER BOOT`.

Owns: the work that takes the upstream's address, so it has to run in a network namespace of its own. Does not own: what
is in the release (payload.py), when it is made, and where it is kept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from lab.progress import StepFailed, fail, say
from lab.release import CLIENT_ARCHIVE, payload
from lab.release.registry import serving

_README = "oc for the lab, built from its Go module; the release that it mirrors is a miniature.\n"


def main(directory: Path, registry: str, signatures: str, client: Path, installer: Path, boot: Path) -> None:
    """Fill `directory` with the registry's storage, the web server's files and release.json."""
    address = registry.partition(":")[0]
    for words in (["link", "set", "lo", "up"], ["address", "add", f"{address}/32", "dev", "lo"]):
        subprocess.run(["ip", *words], check=True)
    storage, web = directory / "storage", directory / "web"
    storage.mkdir()
    with tempfile.TemporaryDirectory() as scratch, serving(storage, registry, Path(scratch)):
        say("pushing images and making the release image")
        made = payload.make(registry, web, oc=client, cli=client, installer=installer, signatures=signatures)
    (web / "boot").mkdir()
    for name in ("kernel", "initramfs", "rootfs", "SHA256SUMS"):
        shutil.copyfile(boot / name, web / "boot" / name)
    say("packing the client's archive")
    _client_archive(client, web / "tools")
    record = {"pull_spec": made.pull_spec, "digest": made.digest, "version": made.version, "images": dict(made.images)}
    (directory / "release.json").write_text(json.dumps(record, indent=2) + "\n")


def _client_archive(client: Path, to: Path) -> None:
    """Write the archive as OKD's release page has it, with its sum under both names that people look for."""
    to.mkdir()
    with (
        gzip.GzipFile(to / CLIENT_ARCHIVE, "wb", compresslevel=6, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as archive,
        tempfile.NamedTemporaryFile("w") as readme,
    ):
        readme.write(_README)
        readme.flush()
        archive.add(readme.name, "README.md", filter=_plain)
        archive.add(client, "oc", filter=_plain)
        link = tarfile.TarInfo("kubectl")
        link.type, link.linkname, link.mode = tarfile.LNKTYPE, "oc", 0o755
        archive.addfile(link)
    with (to / CLIENT_ARCHIVE).open("rb") as handle:
        line = f"{hashlib.file_digest(handle, 'sha256').hexdigest()}  {CLIENT_ARCHIVE}\n"
    for name in ("sha256sum.txt", "SHA256SUMS"):
        (to / name).write_text(line)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644 if entry.name == "README.md" else 0o755
    entry.type = tarfile.REGTYPE
    return entry


if __name__ == "__main__":
    words = sys.argv[1:]
    try:
        main(Path(words[0]), words[1], words[2], Path(words[3]), Path(words[4]), Path(words[5]))
    except StepFailed as error:
        sys.exit(fail(error))
