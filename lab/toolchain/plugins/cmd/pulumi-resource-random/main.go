// Command pulumi-resource-random serves the Terraform provider for random values with the tokens of
// pulumi-random 4.21.4.
package main

import (
	pftfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/terraform-providers/terraform-provider-random/shim"

	"github.com/okd-libvirt/toolchain/plugins/internal/bridged"
)

const version = "4.21.4"

var resources = bridged.Names{
	"random_bytes":    "RandomBytes",
	"random_id":       "RandomId",
	"random_integer":  "RandomInteger",
	"random_password": "RandomPassword",
	"random_pet":      "RandomPet",
	"random_shuffle":  "RandomShuffle",
	"random_string":   "RandomString",
	"random_uuid":     "RandomUuid",
	"random_uuid4":    "RandomUuid4",
	"random_uuid7":    "RandomUuid7",
}

func main() {
	info := bridged.Info(pftfbridge.ShimProvider(shim.NewProvider()), "random", version)
	info.Resources = resources.Resources("random")
	bridged.ServeFramework(info)
}
