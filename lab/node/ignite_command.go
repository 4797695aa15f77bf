package main

import (
	"context"
	"flag"
	"strings"

	"okd-libvirt/lab/node/internal/ignite"
	"okd-libvirt/lab/node/internal/shell/clock"
	"okd-libvirt/lab/node/internal/shell/log"
)

func init() { commands["ignite"] = igniteCommand }

func igniteCommand(ctx context.Context, words []string) error {
	flags := flag.NewFlagSet("ignite", flag.ExitOnError)
	var options ignite.Options
	flags.StringVar(&options.Config, "config", "", "`file` with the ignition config")
	flags.StringVar(&options.Root, "root", "/", "`directory` to which it is applied")
	flags.StringVar(&options.APIInt, "api-int", "", "`address` of api-int, instead of the name server's answer")
	flags.StringVar(&options.Fault, "fault", "", "`fault` to show")
	servers := flags.String("ntp", "", "time `servers`, by which the clock is set first")
	if err := flags.Parse(words); err != nil {
		return err
	}
	if err := log.Open(options.Root); err != nil {
		return err
	}
	if *servers != "" {
		clock.Clock{Servers: strings.FieldsFunc(*servers, listed), Fault: options.Fault}.Set(ctx)
	}
	err := ignite.Run(ctx, options)
	if err != nil {
		log.Say("ignition", "Ignition failed: %v", err)
	}
	return err
}

func listed(one rune) bool { return one == ' ' || one == ',' }
