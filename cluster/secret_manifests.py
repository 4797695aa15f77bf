"""Install-time manifests that hold secrets: they travel to the services host apart from all others.

Owns their objects, their file names, and the names under which the services host keeps them. Does not own the secrets.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cluster import go_yaml
from cluster.project_files import resolved
from cluster.site import Site
from cluster.user_manifests import UserManifest, load

ADMIN_SECRET, INGRESS_SECRET = "okd-admin-htpasswd", "okd-ingress-certificate"
ADMIN_FILE, INGRESS_FILE = "99-okd-admin-secret.yaml", "99-okd-ingress-secret.yaml"


def names(site: Site) -> dict[str, str]:
    """The services host's name for each secret manifest, by file name."""
    install = site.settings.install
    found = {}
    if install.admin_user.enabled:
        found[ADMIN_FILE] = "manifest-admin"
    if install.ingress_certificate:
        found[INGRESS_FILE] = "manifest-ingress"
    users = {one.name: f"manifest-{_digest(one.name)}" for one in user_manifests(site) if one.secret}
    return found | users


def texts(site: Site, *, htpasswd: str, certificate: str, key: str, ca_certificate: str) -> dict[str, str]:
    """Every secret manifest as text, by the name under which the services host keeps it.

    Args:
        site: the stack.
        htpasswd: the line of the cluster's own user.
        certificate: the default ingress's certificate, PEM.
        key: its private key, PEM.
        ca_certificate: the CA that signed it, PEM.
    """
    chain = certificate.strip() + "\n" + ca_certificate.strip() + "\n"
    objects = {
        ADMIN_FILE: _secret(ADMIN_SECRET, "openshift-config", "Opaque", {"htpasswd": htpasswd}),
        INGRESS_FILE: _secret(
            INGRESS_SECRET, "openshift-ingress", "kubernetes.io/tls", {"tls.crt": chain, "tls.key": key}
        ),
    }
    known = {file: go_yaml.dump(document) for file, document in objects.items()}
    known |= {one.name: one.text for one in user_manifests(site) if one.secret}
    return {name: known[file] for file, name in names(site).items()}


def user_manifests(site: Site) -> list[UserManifest]:
    """What the user adds.

    Raises:
        OSError: the directory that settings were checked with is gone.
    """
    path = site.settings.install.manifests
    return load(resolved(path, site.settings.directory))[0] if path is not None else []


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _secret(name: str, namespace: str, kind: str, texts: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": kind,
        "stringData": texts,
    }
