"""A services host with the real openshift-install, and what is asked of it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.scripts.host import SCRIPTS, Host

HERE = Path(__file__).resolve().parent
RELEASE = f"services.okd.lab.example:5000/okd/scos-release@sha256:{'a1' * 32}"
INSTALL = "/var/lib/okd-registry/okd-libvirt/install"
PUBLISHED = "/var/www/okd/ignition"
NAMES = ("bootstrap.ign", "master.ign", "worker.ign")
PASSWORD = "the-registrys-own-password"
AUTH = base64.b64encode(f"mirror:{PASSWORD}".encode()).decode()
PULL_SECRET = json.dumps({"auths": {"services.okd.lab.example:5000": {"auth": AUTH}}})
KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDKN0tARealKey"
SECRET_MANIFEST = f"""apiVersion: v1
kind: Secret
metadata:
  name: ingress
  namespace: openshift-ingress
stringData:
  tls.key: |
    {KEY_LINE}
"""
SECRETS = {"local-pull-secret": PULL_SECRET, "ingress": SECRET_MANIFEST}
POOL = """apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfigPool
metadata:
  name: infra
spec: {}
"""
CLOCK_CONFIGURATION = "local stratum 10\nallow 127.0.0.1\n"


class Set(NamedTuple):
    """What makes a set this one and no other."""

    configs: dict[str, str]
    kubeconfig: str
    password: str


def secret(name: str) -> dict[str, str]:
    return {"secret": name, "sha256": hashlib.sha256(SECRETS[name].encode()).hexdigest()}


def document() -> dict[str, Any]:
    return copy.deepcopy(
        {
            "release": RELEASE,
            "version": "4.19.0-okd-scos.0",
            "tools": "/usr/local/bin",
            "installConfig": {
                "apiVersion": "v1",
                "baseDomain": "lab.example",
                "metadata": {"name": "okd"},
                "controlPlane": {"name": "master", "replicas": 3},
                "compute": [{"name": "worker", "replicas": 0}],
                "networking": {
                    "networkType": "OVNKubernetes",
                    "clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}],
                    "serviceNetwork": ["172.30.0.0/16"],
                    "machineNetwork": [{"cidr": "192.168.200.0/24"}],
                },
                "platform": {"none": {}},
                "imageDigestSources": [
                    {"source": f"quay.io/okd/{name}", "mirrors": [f"services.okd.lab.example:5000/okd/{name}"]}
                    for name in ("scos-release", "scos-content")
                ],
            },
            "manifests": {"99-okd-pool-infra.yaml": POOL},
            "secretManifests": {"99-okd-ingress.yaml": secret("ingress")},
            "pullSecret": secret("local-pull-secret"),
            "publish": {"directory": PUBLISHED, "group": "www-data", "mode": "0640", "selinux": "httpd_sys_content_t"},
            "api": {"url": "https://api.okd.lab.example:6443", "address": "127.0.0.1"},
            "renewAfterHours": 12,
            "generation": "first",
        }
    )


def status_document() -> dict[str, Any]:
    return {name: document()[name] for name in ("renewAfterHours", "api")}


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a verb that succeeded reports."""
    assert done.returncode == 0
    last = done.stdout.rstrip().splitlines()[-1]
    assert last.startswith("result: ")
    found: dict[str, Any] = json.loads(last.removeprefix("result: "))
    return found


class Site:
    """The services host `host`; everything is as the verb will find it after the services were delivered."""

    def __init__(self, host: Host, installer: Path) -> None:
        self.host, self.installer = host, installer
        self.first: dict[str, Any] = {}
        self.servers: list[subprocess.Popen[bytes]] = []
        self.tool(RELEASE)
        self.clock(CLOCK_CONFIGURATION)
        assert host.agent("secrets", "release", document=SECRETS).returncode == 0

    def close(self) -> None:
        for server in self.servers:
            server.kill()
            server.wait()

    def tool(self, release: str) -> None:
        """The installer; one that was taken out of a release needs nobody to tell it which."""
        override = f"export OPENSHIFT_INSTALL_RELEASE_IMAGE_OVERRIDE={release}"
        self.host.write(
            "/usr/local/bin/openshift-install", f'#!/bin/sh\n{override}\nexec {self.installer} "$@"\n', "755"
        )

    def clock(self, configuration: str) -> None:
        """A chronyd that leaves the machine's clock alone."""
        self.host.sh("test ! -e /run/chronyd.pid || kill $(cat /run/chronyd.pid); mkdir -p -m 750 /run/chrony")
        configuration += "pidfile /run/chronyd.pid\nuser root\n"
        self.host.write("/run/chrony.conf", configuration)
        self.servers.append(
            subprocess.Popen(self.host.argv(["/usr/sbin/chronyd", "-x", "-n", "-f", "/run/chrony.conf"]))
        )
        self.host.eventually("chronyc -n tracking")

    def argv(self, verb: str, *, hours: float = 0, snippet: str = "") -> list[str]:
        shifted = ["/usr/bin/python3", str(HERE / "shifted_clock.py"), str(hours)] if hours else []
        agent = [str(HERE / "agent_with.py"), snippet] if snippet else ["-m", "okd_host"]
        return self.host.argv([*shifted, "env", f"PYTHONPATH={SCRIPTS}", "/usr/bin/python3", *agent, verb])

    def run(
        self, verb: str, given: Any = None, *, hours: float = 0, snippet: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb, with the wall clock moved by `hours`, after `snippet` has changed the agent."""
        text = json.dumps(document() if given is None else given)
        argv = self.argv(verb, hours=hours, snippet=snippet)
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        sys.stdout.write(done.stdout + done.stderr)
        return done

    def ignition(self, given: Any = None, **how: Any) -> dict[str, Any]:
        return result(self.run("ignition", given, **how))

    def status(self, **how: Any) -> dict[str, Any]:
        return result(self.run("ignition-status", status_document(), **how))

    def kept(self) -> Set:
        """The set on the host."""
        read = self.host.read
        configs = {name: read(f"{INSTALL}/{name}") for name in NAMES}
        return Set(configs, read(f"{INSTALL}/auth/kubeconfig"), read(f"{INSTALL}/auth/kubeadmin-password"))

    def published(self) -> dict[str, str]:
        return {name: self.host.read(f"{PUBLISHED}/{name}") for name in NAMES}

    def tree(self, *paths: str) -> dict[str, str]:
        """Every file and directory below `paths`, with mode and owner."""
        listed = self.host.run("find", *paths, "-printf", "%p %m %U:%G\n")
        return dict(line.split(" ", 1) for line in listed.splitlines())

    def serve_api(self, mode: str = "up", name: str = "kube-apiserver-lb-server") -> None:
        """An API with a certificate out of the set."""
        files = in_bootstrap(self.kept().configs["bootstrap.ign"])
        for kind in ("crt", "key"):
            self.host.write(f"/srv/api.{kind}", files[f"/opt/openshift/tls/{name}.{kind}"])
        self.listen(mode)

    def listen(self, mode: str) -> None:
        """An API with the certificate in /srv."""
        argv: Sequence[str] = ["/usr/bin/python3", str(HERE / "api_server.py"), "/srv/api.crt", "/srv/api.key", mode]
        self.servers.append(subprocess.Popen(self.host.argv(argv)))
        self.host.eventually("ss -ltn | grep 127.0.0.1:6443")

    def stop_api(self) -> None:
        self.host.sh("kill -9 $(cat /run/api.pid)")
        self.host.eventually("! ss -ltn | grep 127.0.0.1:6443")


def in_bootstrap(config: str) -> dict[str, str]:
    """The files that an ignition config writes, by path."""
    rows = json.loads(config)["storage"]["files"]
    parts = {row["path"]: [row.get("contents", {}), *row.get("append", [])] for row in rows}
    return {
        path: "".join(base64.b64decode(part.get("source", "").partition(",")[2]).decode() for part in found)
        for path, found in parts.items()
    }
