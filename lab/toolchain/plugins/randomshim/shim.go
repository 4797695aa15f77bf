// Package shim hands out the random provider, whose own package is internal to its module.
package shim

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"

	upstream "github.com/terraform-providers/terraform-provider-random/internal/provider"
)

// NewProvider returns the Terraform provider for random values.
func NewProvider() provider.Provider { return upstream.New() }
