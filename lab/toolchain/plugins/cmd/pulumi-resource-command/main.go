// Command pulumi-resource-command serves the resources of pulumi-command 1.2.1.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/local"
	"github.com/okd-libvirt/toolchain/plugins/internal/command/remote"
)

const version = "1.2.1"

func main() {
	provider, err := infer.NewProviderBuilder().
		WithDescription("Run commands and scripts, locally and on other machines, as resources.").
		WithResources(
			infer.Resource(&local.Command{}),
			infer.Resource(&remote.Command{}),
			infer.Resource(&remote.CopyToRemote{}),
			infer.Resource(&remote.CopyFile{}),
		).
		WithFunctions(infer.Function(&local.Run{})).
		Build()
	if err == nil {
		err = provider.Run(context.Background(), "command", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
