"""The mirror registry.

Owns the registry's configuration: TLS with a certificate of the stack's CA, one user, blobs on the data volume. Does
not own the certificate, the password or what is mirrored.
"""

from __future__ import annotations

from typing import Any

from cluster import go_yaml
from cluster.host_files import Bundle, Check, HostFile
from cluster.host_os import REGISTRY_MOUNT
from cluster.render import render
from cluster.site import REGISTRY_PORT, Site
from cluster.trust import check_argv
from cluster.units import AFTER_NETWORK, PROBE_SECONDS, drop_in, prints

USER = "okd"


def configuration(site: Site) -> dict[str, Any]:
    """The registry's configuration as a document."""
    host_os = site.host_os
    return {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": REGISTRY_MOUNT},
            "cache": {"blobdescriptor": "inmemory"},
            "delete": {"enabled": True},
        },
        "http": {
            "addr": f"{site.services_address}:{REGISTRY_PORT}",
            "host": site.registry_url,
            "headers": {"X-Content-Type-Options": ["nosniff"]},
            "tls": {
                "certificate": f"{host_os.registry_tls}/registry.crt",
                "key": f"{host_os.registry_tls}/registry.key",
                "minimumtls": "tls1.2",
            },
        },
        "auth": {"htpasswd": {"realm": "okd-libvirt", "path": host_os.registry_htpasswd}},
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }


def bundle(site: Site) -> Bundle:
    """Distribution's registry. It reads nothing again while it runs: every change restarts it."""
    host_os, daemon = site.host_os, site.host_os.registry
    label, tls = host_os.label("etc_t"), host_os.registry_tls
    config = go_yaml.dump(configuration(site))
    files = (
        HostFile(path=daemon.config, text=config, group=daemon.group, mode="0640", selinux=label),
        # Its own copy, so that its health does not wait for the trust store.
        HostFile(path=f"{tls}/ca.crt", value="ca-certificate", selinux=label),
        HostFile(path=f"{tls}/registry.crt", value="registry-certificate", selinux=label),
        HostFile(
            path=f"{tls}/registry.key",
            value="registry-key",
            secret=True,
            group=daemon.group,
            mode="0640",
            selinux=label,
        ),
        HostFile(
            path=host_os.registry_htpasswd,
            value="registry-htpasswd",
            secret=True,
            group=daemon.group,
            mode="0640",
            selinux=label,
        ),
    )
    status = f"curl -sS --max-time {PROBE_SECONDS} -o /dev/null -w '%{{http_code}}' --cacert {tls}/ca.crt"
    status += f" --resolve {site.services_fqdn}:{REGISTRY_PORT}:{site.services_address}"
    return Bundle(
        service="registry",
        packages=daemon.packages,
        files=files,
        unit_files=(drop_in(host_os, daemon, *AFTER_NETWORK, f"RequiresMountsFor={REGISTRY_MOUNT}"),),
        checks=(check_argv(f"{tls}/registry.crt"), Check("registry", start_check(site))),
        units=(daemon.unit,),
        on_data_volume=True,
        restart_on=tuple(file.path for file in files),
        health=(prints("asks for a password over verified TLS", f"{status} {site.registry_url}/v2/", "401"),),
    )


def start_check(site: Site) -> tuple[str, ...]:
    """The registry has no check mode: start it on a spare port with empty storage and wait for its answer."""
    host_os = site.host_os
    script = render("registry-check.sh.j2", program=host_os.registry_program, config=host_os.registry.config)
    return ("/bin/sh", "-c", script)
