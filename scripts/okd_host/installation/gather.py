"""gather: everything that explains an installation that does not come to its end, in one file.

Document: {"api": {"url", "address"}, "machines": [row, ...], "units": {service: unit, ...}}; optional: "logs": [paths].
What does not answer is noted in problems.txt instead. The file is
/var/lib/okd-registry/okd-libvirt/gathered/<time>.tar.gz, for root only; the newest five are kept. Keys, passwords and
credentials are taken out of every text; no kubeconfig and no ignition config is in it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from okd_host import commands, files, limits, report
from okd_host.installation import scrub, shell
from okd_host.installation.api import Api, Refused, Silent
from okd_host.installation.rows import Row, read

GATHERED = os.path.join(files.RELEASE, "gathered")
KEPT = 5
SUFFIX = ".tar.gz"
UNITS = (
    "ignition",
    "release-image",
    "bootkube",
    "crio",
    "kubelet",
    "etcd",
    "kube-apiserver",
    "machine-config-server",
    "machine-config-daemon-firstboot",
    "machine-config-daemon-pull",
    "nodeip-configuration",
    "node-image-pull",
    "chronyd",
    "sshd",
)
LINES = 5000
LOG_BYTES = 2 << 20
OBJECTS = {
    "nodes": "/api/v1/nodes",
    "certificate-requests": "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "cluster-operators": "/apis/config.openshift.io/v1/clusteroperators",
    "cluster-version": "/apis/config.openshift.io/v1/clusterversions",
    "machine-config-pools": "/apis/machineconfiguration.openshift.io/v1/machineconfigpools",
    "bootstrap": "/api/v1/namespaces/kube-system/configmaps/bootstrap",
    "events": "/api/v1/events",
}
HTTP_LOGS = ("/var/log/nginx/boot.log", "/var/log/nginx/report.log")
PROBLEMS = "problems.txt"


def _journal(row: Row) -> commands.Result:
    units = " ".join(f"-u {unit}" for unit in UNITS)
    command = f"sudo journalctl --quiet --no-pager --output=short-iso --lines={LINES} {units}"
    return shell.run(row, command, limits.JOURNAL.seconds)


def _machines(rows: Sequence[Row]) -> Iterator[tuple[str, commands.Result]]:
    """The journal of each machine, asked side by side."""
    with ThreadPoolExecutor(max(1, min(4, len(rows)))) as pool:
        yield from zip([row.name for row in rows], pool.map(_journal, rows))


def _services(units: Mapping[str, str], logs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Journals of this host's services, and logs of its HTTP server."""
    for service, unit in units.items():
        argv = ["journalctl", "--quiet", "--no-pager", f"--lines={LINES}", "--unit", unit]
        done = commands.run(argv, limit=limits.JOURNAL.seconds)
        yield f"services/{service}.log", done.output if done.code == 0 else f"journalctl: {done.output}"
    for path in logs:
        with suppress(FileNotFoundError), open(path, "rb") as log:
            log.seek(max(0, os.path.getsize(path) - LOG_BYTES))
            yield f"services/{os.path.basename(path)}", log.read().decode(errors="replace")


def _objects(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, text and problem of each kind of object; the first silence ends the asking."""
    try:
        api = Api.of(document["api"], limit=limits.API_REQUEST.seconds)
    except Silent as error:
        yield "cluster", "", str(error)
        return
    for name, path in OBJECTS.items():
        try:
            yield f"cluster/{name}.json", json.dumps(api.get(path), indent=1), ""
        except Refused as error:
            yield f"cluster/{name}.json", "", f"{path}: {error}"
        except Silent as error:
            yield "cluster", "", f"the API does not answer: {error}"
            return


def _prune() -> None:
    names = sorted(name for name in os.listdir(GATHERED) if name.endswith(SUFFIX))
    for name in names[:-KEPT]:
        os.unlink(os.path.join(GATHERED, name))


def _archive(texts: Mapping[str, str]) -> str:
    """Write the texts, without secrets, to a file named by the time; its path."""
    files.private_directory(GATHERED)
    moment = time.time()
    stamp = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime(moment))
    path = os.path.join(GATHERED, f"{stamp}{SUFFIX}")
    clean = scrub.scrubber()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in texts.items():
            content = clean(text).encode()
            entry = tarfile.TarInfo(f"{stamp}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(moment), 0o600
            archive.addfile(entry, io.BytesIO(content))
    files.write_now(path, packed.getvalue(), mode=0o600)
    _prune()
    return path


def collect(document: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Gather by the document of this verb; the file, and the names of the machines that answered."""
    texts, problems, answered = {}, [], []
    for name, done in _machines(read(document["machines"])):
        if done.code:
            problems.append(f"{name}: {report.tail(done.output, 3) or f'exit {done.code}'}")
        else:
            answered.append(name)
            texts[f"machines/{name}.log"] = done.output
    texts.update(_services(document.get("units", {}), document.get("logs", HTTP_LOGS)))
    for name, text, problem in _objects(document):
        if problem:
            problems.append(problem)
        else:
            texts[name] = text
    texts[PROBLEMS] = "".join(f"{problem}\n" for problem in problems) or "none\n"
    return _archive(texts), answered


def for_failure(api: Mapping[str, str], rows: Sequence[Row], boot: Mapping[str, Any]) -> str:
    """Gather beside a failure, which must not give way to another; says where. `boot` is a boot document."""
    logs = [boot["logs"]["http"], boot["logs"]["report"]]
    document = {"api": api, "machines": [row.document() for row in rows], "units": boot["units"], "logs": logs}
    report.say("  gathering logs")
    try:
        path, machines = collect(document)
    except OSError as error:
        return f"logs could not be gathered ({error})"
    return f"logs of the services and of {', '.join(machines) or 'no machine'} are in {path} on the services host"


def main(arguments: list[str], document: Any) -> None:
    """Gather and say where it lies."""
    stages = report.Stages(["gather"])
    with files.lock("gather", "gather"), stages("gather"):
        path, machines = collect(document)
        asked = len(document["machines"])
        stages.detail = f"{path}, {os.path.getsize(path) / 1024:.0f} KiB; {len(machines)} of {asked} machines answered"
    report.result({"file": path, "machines": machines})
