"""The two networks of a stack.

Owns the isolated cluster network and, unless the uplink is an existing bridge of the host, a NAT network for the
services host's uplink. Both come without libvirt's DHCP and DNS: the services host serves the cluster network.
Does not own addresses inside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_libvirt as libvirt

from cluster.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworksArgs:
    """`uplink_bridge_on_host` names an existing bridge to use in place of a NAT network; `mtu` is in bytes."""

    cluster_name: str
    cluster_bridge: str
    mtu: int
    uplink_name: str
    uplink_bridge: str
    uplink_cidr: str
    uplink_bridge_on_host: str | None

    @classmethod
    def of(cls, plan: Plan) -> NetworksArgs:
        """The arguments a plan asks for."""
        return cls(
            cluster_name=plan.names.cluster_network,
            cluster_bridge=plan.names.cluster_bridge,
            mtu=plan.settings.network.mtu,
            uplink_name=plan.names.uplink_network,
            uplink_bridge=plan.names.uplink_bridge,
            uplink_cidr=str(plan.settings.uplink.cidr),
            uplink_bridge_on_host=plan.settings.uplink.bridge,
        )


class Networks(pulumi.ComponentResource):
    """The cluster network (`cluster_id`) and the uplink (`uplink_id` for NAT, else `uplink_bridge`)."""

    cluster_id: pulumi.Output[str]
    uplink_id: pulumi.Output[str] | None = None
    uplink_bridge: str | None = None

    def __init__(self, name: str, args: NetworksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Networks", name, None, opts)
        # The provider ignores changes of these in place (dhcp, dns, mtu), so they replace the network.
        child = pulumi.ResourceOptions(
            parent=self,
            replace_on_changes=["addresses", "bridge", "dhcp", "dns", "mode", "mtu"],
            delete_before_replace=True,
        )
        cluster = libvirt.Network(
            f"{name}-cluster",
            name=args.cluster_name,
            mode="none",
            bridge=args.cluster_bridge,
            mtu=args.mtu,
            autostart=True,
            dhcp={"enabled": False},
            dns={"enabled": False},
            opts=child,
        )
        self.cluster_id = cluster.id
        outputs: dict[str, pulumi.Input[str]] = {"clusterId": self.cluster_id}
        if args.uplink_bridge_on_host is None:
            uplink = libvirt.Network(
                f"{name}-uplink",
                name=args.uplink_name,
                mode="nat",
                bridge=args.uplink_bridge,
                addresses=[args.uplink_cidr],
                autostart=True,
                dhcp={"enabled": False},
                dns={"enabled": False},
                opts=child,
            )
            self.uplink_id = uplink.id
            outputs["uplinkId"] = uplink.id
        else:
            self.uplink_bridge = args.uplink_bridge_on_host
            outputs["uplinkBridge"] = args.uplink_bridge_on_host
        self.register_outputs(outputs)
