package main

import (
	"context"
	"flag"

	"okd-libvirt/lab/node/internal/node"
	"okd-libvirt/lab/node/internal/shell/log"
)

func init() { commands["node"] = nodeCommand }

func nodeCommand(ctx context.Context, words []string) error {
	flags := flag.NewFlagSet("node", flag.ExitOnError)
	var config node.Config
	flags.StringVar(&config.Root, "root", "/", "`directory` that the ignition config was applied to")
	flags.StringVar(&config.Data, "data", "", "`directory` that is kept over reboots, ROOT/var/lib by default")
	flags.StringVar(&config.Address, "address", "", "`address` to listen on")
	flags.StringVar(&config.Hostname, "hostname", "", "full `name` of the machine")
	flags.StringVar(&config.UUID, "uuid", "", "the machine's SMBIOS `UUID`")
	flags.StringVar(&config.APIInt, "api-int", "", "`host:port` of the internal API, instead of the name server's answer")
	flags.StringVar(&config.Late, "late", "", "`member=2-6,api=5-10`: seconds that the bootstrap's member and the third API are late")
	if err := flags.Parse(words); err != nil {
		return err
	}
	if err := log.Open(config.Root); err != nil {
		return err
	}
	return node.Run(ctx, config)
}
