// Command pulumi-resource-libvirt serves terraform-provider-libvirt with the tokens of pulumi-libvirt 0.5.4.
//
// That SDK was made from provider 0.8.1; the module is built at 0.8.3, the nearest version that is served.
package main

import (
	"encoding/json"

	"github.com/dmacvicar/terraform-provider-libvirt/libvirt"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"

	"github.com/okd-libvirt/toolchain/plugins/internal/bridged"
)

const (
	version     = "0.5.4"
	longestName = 255
)

var (
	resources = bridged.Names{
		"libvirt_cloudinit_disk": "CloudInitDisk",
		"libvirt_combustion":     "Combustion",
		"libvirt_domain":         "Domain",
		"libvirt_ignition":       "Ignition",
		"libvirt_network":        "Network",
		"libvirt_pool":           "Pool",
		"libvirt_volume":         "Volume",
	}
	functions = bridged.Names{
		"libvirt_network_dns_host_template":        "getNetworkDnsHostTemplate",
		"libvirt_network_dns_srv_template":         "getNetworkDnsSrvTemplate",
		"libvirt_network_dnsmasq_options_template": "getNetworkDnsmasqOptionsTemplate",
		"libvirt_node_device_info":                 "getNodeDeviceInfo",
		"libvirt_node_devices":                     "getNodeDevices",
		"libvirt_node_info":                        "getNodeInfo",
	}
)

func main() {
	info := bridged.Info(sdkv2.NewProvider(libvirt.Provider()), "libvirt", version)
	info.Resources = resources.Resources("libvirt")
	// Newer than the SDK, which could not set it.
	info.Resources["libvirt_domain"].Fields = map[string]*tfbridge.SchemaInfo{
		"network_interface": {Elem: &tfbridge.SchemaInfo{Fields: map[string]*tfbridge.SchemaInfo{
			"private": {Omit: true},
		}}},
	}
	info.SetAutonaming(longestName, "-")
	info.DataSources = functions.Functions("libvirt")
	bridged.ServeSDKv2(info, json.Marshal)
}
