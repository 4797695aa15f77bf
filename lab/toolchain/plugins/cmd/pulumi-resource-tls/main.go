// Command pulumi-resource-tls serves the resources of pulumi-tls 5.6.2.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/okd-libvirt/toolchain/plugins/internal/tlsplugin"
)

const version = "5.6.2"

func main() {
	provider, err := tlsplugin.New()
	if err == nil {
		err = provider.Run(context.Background(), "tls", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
