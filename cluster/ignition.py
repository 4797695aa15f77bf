"""The ignition configs: what the host agent's verbs `ignition` and `ignition-status` read.

Owns putting install-config, manifests and the place of publication together. Does not own any of them, nor the guard
that decides whether a set is made again (scripts/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster import catalogs, go_yaml, install_config, manifests, pull_secret, secret_manifests
from cluster.certificates import bundle
from cluster.host_os import HTTP_ROOT, TOOLS
from cluster.mirror import secret, trusted_certificates
from cluster.site import Site

# A set is good for 24 hours; machines that boot must still be done by then.
RENEW_HOURS = 12


def document(
    site: Site,
    *,
    release: Mapping[str, Any],
    ca_certificate: str,
    login_key: str,
    hashes: Mapping[str, str],
    generation: str,
    cluster: str,
) -> dict[str, Any]:
    """What `ignition` reads.

    Args:
        site: the stack.
        release: what `mirror` reports.
        ca_certificate: the stack's own CA, PEM.
        login_key: the public SSH key that the stack logs in with.
        hashes: SHA-256 (hex) by the secrets' names: the local pull secret's and every secret manifest's.
        generation: which set is asked for, as `ignition-status` named it.
        cluster: an id of the stack's own cluster, by which a kept data volume's older set is told apart.

    Raises:
        OSError, ValueError: a file that the settings were checked with has changed since.
    """
    trust_bundle = bundle(ca_certificate, *trusted_certificates(site))
    objects = {one.name: one.identity._asdict() for one in secret_manifests.user_manifests(site)}
    return ({"objects": objects} if objects else {}) | {
        "release": release["release"],
        "version": release["version"],
        "tools": TOOLS,
        "installConfig": install_config.document(site, trust_bundle, login_key),
        "manifests": manifest_texts(site) | signature_text(site, release) | catalogs.manifest_texts(site, release),
        "secretManifests": {file: secret(name, hashes) for file, name in secret_manifests.names(site).items()},
        "pullSecret": secret(pull_secret.LOCAL, hashes),
        "publish": publication(site),
        "api": api(site),
        "renewAfterHours": RENEW_HOURS,
        "generation": generation,
        "cluster": cluster,
    }


def publication(site: Site) -> dict[str, Any]:
    """Where the ignition configs are served from, and who may read them there."""
    host_os = site.host_os
    return {
        "directory": f"{HTTP_ROOT}/ignition",
        "group": host_os.http.group,
        "mode": "0640",
        "selinux": host_os.label("httpd_sys_content_t"),
    }


def status_document(site: Site) -> dict[str, Any]:
    """What `ignition-status` reads."""
    return {"renewAfterHours": RENEW_HOURS, "api": api(site)}


def api(site: Site) -> dict[str, str]:
    """Where to ask whether the cluster is up: the API behind the load balancer, whatever the name server says."""
    return {"url": site.api_url, "address": str(site.services_address)}


def manifest_texts(site: Site) -> dict[str, str]:
    """Every manifest without secrets as text, by file name: the built-in ones and the user's."""
    texts = {file: go_yaml.dump(one) for file, one in manifests.built_in(site).items()}
    texts |= {one.name: one.text for one in secret_manifests.user_manifests(site) if not one.secret}
    return dict(sorted(texts.items()))


def signature_text(site: Site, release: Mapping[str, Any]) -> dict[str, str]:
    """The release's signature as a manifest, where it has one: the cluster then knows its release as verified."""
    signature = release.get("signature")
    if not signature or not site.settings.install.release_signature:
        return {}
    return {manifests.SIGNATURE_FILE: go_yaml.dump(signature)}
