"""The install-config: what the installer is told.

Owns the whole document but its pull secret, which joins on the services host. Does not own the manifests that follow
(manifests.py).
"""

from __future__ import annotations

from typing import Any

from cluster.architectures import GO_ARCHITECTURES
from cluster.mirror import mirrors
from cluster.site import Site
from cluster.versions import DIGEST_SOURCES, TRUST_POLICY


def document(site: Site, trust_bundle: str, login_key: str) -> dict[str, Any]:
    """The install-config, without pullSecret.

    Args:
        site: the stack.
        trust_bundle: the certificates that every node trusts, PEM, with nothing between or around them.
        login_key: the public SSH key that the stack logs in with.
    """
    settings, install = site.settings, site.settings.install
    version = settings.release.okd
    found: dict[str, Any] = {
        "apiVersion": "v1",
        "baseDomain": settings.cluster.base_domain,
        "metadata": {"name": settings.cluster.name},
        # Compute machines join by themselves; the installer counts only those that it makes.
        "compute": [_machines(site, "worker", 0)],
        "controlPlane": _machines(site, "master", len(site.of_role("control-plane"))),
        "networking": {
            "networkType": "OVNKubernetes",
            "clusterNetwork": [{"cidr": str(install.cluster_network), "hostPrefix": install.host_prefix}],
            "serviceNetwork": [str(install.service_network)],
            "machineNetwork": [{"cidr": str(site.network)}],
        },
        "platform": {"none": {}},
        "fips": False,
        "sshKey": "\n".join(dict.fromkeys([login_key.strip(), *install.ssh_keys])),
        "additionalTrustBundle": trust_bundle,
    }
    if version.since(TRUST_POLICY):
        # The default adds the bundle where there is a proxy only.
        found["additionalTrustBundlePolicy"] = "Always"
    if install.proxy is not None:
        found["proxy"] = _proxy(site)
    name = "imageDigestSources" if version.since(DIGEST_SOURCES) else "imageContentSources"
    policy = {"sourcePolicy": install.source_policy} if install.source_policy else {}
    found[name] = [{"source": source, "mirrors": names} | policy for source, names in mirrors(site).items()]
    return found


def _machines(site: Site, name: str, replicas: int) -> dict[str, Any]:
    return {
        "name": name,
        "architecture": GO_ARCHITECTURES[site.settings.release.architecture],
        "hyperthreading": "Enabled",
        "replicas": replicas,
    }


def _proxy(site: Site) -> dict[str, str]:
    """The proxy's part; the mirror registry and everything else of the cluster's domain is reached without it."""
    proxy = site.settings.install.proxy
    assert proxy is not None
    direct = proxy.no_proxy if "*" in proxy.no_proxy else (f".{site.cluster_domain}", *proxy.no_proxy)
    urls = {"httpProxy": proxy.http, "httpsProxy": proxy.https}
    return {name: url for name, url in urls.items() if url} | {"noProxy": ",".join(dict.fromkeys(direct))}
