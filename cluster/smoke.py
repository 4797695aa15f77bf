"""What the smoke check must find from inside the cluster network.

Owns the expectations, derived from the same rows as the services. Does not own the check itself (scripts/), nor the
registry's password and CA, which join late, nor the boot image, which comes after it from the mirrored release.
"""

from __future__ import annotations

from typing import Any

from cluster import boot, dns, load_balancer, registry
from cluster.site import STATS_PORT, Site

MAX_OFFSET_SECONDS = 1.0


def document(site: Site) -> dict[str, Any]:
    """The smoke check's document."""
    services = str(site.services_address)
    return {
        "bridge": "cluster",
        "address": str(site.probe_address),
        "prefix": site.network.prefixlen,
        "services": {"address": services, "fqdn": site.services_fqdn},
        "machines": [
            {
                "name": machine.name,
                "mac": machine.mac,
                "address": str(machine.address),
                "fqdn": machine.fqdn,
                "router": str(site.router),
                "dns": [services],
                "ntp": [services],
                "domain": site.cluster_domain,
                "nextServer": services,
                "bootFile": boot.boot_files(site),
            }
            for machine in site.machines
        ],
        "records": [{"name": record.name, "type": record.type, "value": record.value} for record in dns.records(site)],
        "ntp": {"server": services, "maxOffsetSeconds": MAX_OFFSET_SECONDS},
        "tftp": list(boot.tftp_paths(site)),
        "http": list(boot.script_paths(site)),
        "registry": {"url": site.registry_url, "user": registry.USER},
        "haproxy": {"ports": [row.port for row in load_balancer.concerns(site)], "stats": STATS_PORT},
    }
