package main

import (
	"context"
	"flag"
	"net"
	"strings"

	"okd-libvirt/lab/node/internal/shell"
	"okd-libvirt/lab/node/internal/shell/clock"
	"okd-libvirt/lab/node/internal/shell/log"
)

func init() { commands["shell"] = shellCommand }

func shellCommand(ctx context.Context, words []string) error {
	flags := flag.NewFlagSet("shell", flag.ExitOnError)
	var options shell.Options
	flags.StringVar(&options.Root, "root", "/", "`directory` that is the machine's file tree")
	flags.StringVar(&options.Address, "address", "", "`address` to listen on, with or without a port")
	flags.StringVar(&options.Power, "power", "", "`program` to be called with poweroff or reboot")
	servers := flags.String("ntp", "", "time `servers`, by which the clock is kept")
	fault := flags.String("fault", "", "`fault` to show")
	if err := flags.Parse(words); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(options.Address); err != nil {
		options.Address = net.JoinHostPort(options.Address, "22")
	}
	if err := log.Open(options.Root); err != nil {
		return err
	}
	go clock.Clock{Servers: strings.FieldsFunc(*servers, listed), Fault: *fault}.Keep(ctx)
	return shell.Run(ctx, options)
}
