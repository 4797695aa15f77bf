"""HTTP for machines that boot: boot image, iPXE scripts, ignition configs, boot reports.

Owns nginx's configuration. Ignition configs hold credentials and go to the cluster network alone. Logs are JSON, one
object a line, for whoever watches a machine boot. Does not own the files served.
"""

from __future__ import annotations

from cluster.host_files import Bundle, Check, HostFile
from cluster.host_os import BOOT_LOG, HTTP_ROOT, REPORT_LOG
from cluster.render import render
from cluster.site import HTTP_PORT, Site
from cluster.units import PROBE_SECONDS, drop_in, prints


def bundle(site: Site) -> Bundle:
    """Nginx on the cluster network's side only."""
    host_os, daemon = site.host_os, site.host_os.http
    text = render(
        "nginx.conf.j2",
        user=daemon.user,
        pid=host_os.http_pid,
        address=site.services_address,
        port=HTTP_PORT,
        network=site.network,
        root=HTTP_ROOT,
        boot_log=BOOT_LOG,
        report_log=REPORT_LOG,
    )
    status = f"curl -sS --max-time {PROBE_SECONDS} -o /dev/null -w '%{{http_code}}'"
    return Bundle(
        service="http",
        packages=daemon.packages,
        files=(HostFile(path=daemon.config, text=text, selinux=host_os.label("httpd_config_t")),),
        unit_files=(drop_in(host_os, daemon),),
        checks=(Check("nginx", ("nginx", "-t", "-q", "-c", daemon.config)),),
        units=(daemon.unit,),
        reload=("systemctl", "reload", daemon.unit),
        health=(
            prints("answers", f"{status} {site.http_url}/no-such-file", "404"),
            prints("takes boot reports", f"{status} {site.http_url}/report?health=1", "204"),
        ),
    )
