"""Time for the cluster network.

Owns chrony's configuration: the services host follows the uplink's time servers where there are any and serves its own
clock where there are none, so that a disconnected cluster still agrees on the time. Does not own the machines' clocks.
"""

from __future__ import annotations

from cluster.host_files import Bundle, Check, Health, HostFile
from cluster.render import render
from cluster.site import Site
from cluster.units import drop_in, listens_udp

SOURCES = "/etc/chrony/sources.d"


def bundle(site: Site) -> Bundle:
    """Chrony; a changed list of time servers is taken up by the running daemon, anything else needs a restart."""
    daemon, label = site.host_os.time, site.host_os.label("etc_t")
    servers = site.settings.uplink.time_servers
    return Bundle(
        service="time",
        packages=daemon.packages,
        files=(
            HostFile(
                path=daemon.config,
                text=render(
                    "chrony.conf.j2",
                    sources=SOURCES,
                    network=site.network,
                    drift_file=site.host_os.chrony_drift_file,
                ),
                selinux=label,
            ),
            HostFile(
                path=f"{SOURCES}/okd-libvirt.sources", text=render("chrony.sources.j2", servers=servers), selinux=label
            ),
        ),
        unit_files=(drop_in(site.host_os, daemon),),
        checks=(Check("chronyd", ("chronyd", "-p", "-f", daemon.config)),),
        units=(daemon.unit,),
        reload=("chronyc", "reload", "sources"),
        restart_on=(daemon.config,),
        health=(
            Health("answers chronyc", ("chronyc", "-n", "tracking")),
            listens_udp("0.0.0.0", 123),
        ),
    )
